//! Purpose: what all walks of a test share: the world, the action's image, names, and what jobs leave for each other.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::event::{Event, REPOSITORY};
use crate::image::{docker, packed};
use crate::walk::Walk;
use crate::world::github::{Commit, File, Pull, TOKEN};
use crate::world::http::Door;
use crate::world::sts::Role;
use crate::world::{State, World};

/// Files by path.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The world and the machine.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) image: String,
    /// Where a container on the engine's default bridge finds this machine.
    pub(crate) gateway: IpAddr,
    /// What somebody who copies an example changes in it, and here has to: names of hosts, ports, containers.
    pub(crate) names: RefCell<Vec<(String, String)>>,
    /// What appears in what is told instead of what varies.
    pub(crate) shown: RefCell<Vec<(String, String)>>,
    /// What `actions/upload-artifact` and `actions/cache` keep, by name.
    pub(crate) kept: RefCell<BTreeMap<String, Files>>,
    /// Images of the engine that this test made.
    pub(crate) made: RefCell<Vec<String>>,
    pub(crate) unique: String,
    pub(crate) runs: std::cell::Cell<u64>,
}

impl Stage {
    /// A world that containers reach, too; `acme/app` is private, so that every permission counts.
    pub(crate) fn new() -> Self {
        let image = packed();
        let gateway = gateway();
        // The engine pushes and pulls without encryption on its host's loopback only; containers come in by the bridge.
        let world = World::listen_on(State::new(), &[IpAddr::V4(Ipv4Addr::LOCALHOST), gateway], 0);
        let registry = world.registry_host();
        world.state().github.repository(REPOSITORY).private = true;
        let unique = crate::engine::unique("rehearsal").replace('/', "-");
        let stage = Self {
            world,
            image,
            gateway,
            names: RefCell::default(),
            shown: RefCell::default(),
            kept: RefCell::default(),
            made: RefCell::default(),
            unique: unique.clone(),
            runs: std::cell::Cell::new(1000),
        };
        stage.shows(&registry, "<registry>");
        stage.shows(&unique, "<unique>");
        stage.shows(&gateway.to_string(), "<machine>");
        stage
    }

    /// Changes a name wherever the example has it.
    pub(crate) fn rename(&self, from: &str, to: &str) -> &Self {
        self.names.borrow_mut().push((from.to_owned(), to.to_owned()));
        self
    }

    /// Hosts of registries become the world's.
    pub(crate) fn registry(&self, host: &str) -> &Self {
        self.rename(host, &self.world.registry_host())
    }

    /// Ports of this machine that may be taken become free ones. Gives them.
    pub(crate) fn free_ports(&self, ports: &[u16]) -> Vec<u16> {
        // All are held until all are known, so that they differ.
        let held: Vec<_> = ports.iter().map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let free: Vec<u16> = held.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        for (port, other) in ports.iter().zip(&free) {
            self.rename(&port.to_string(), &other.to_string());
            self.shows(&other.to_string(), &port.to_string());
        }
        free
    }

    /// A text with its names changed.
    pub(crate) fn renamed(&self, text: &str) -> String {
        self.names.borrow().iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// What is told in place of a text that varies.
    pub(crate) fn shows(&self, what: &str, name: &str) -> &Self {
        self.shown.borrow_mut().push((what.to_owned(), name.to_owned()));
        self
    }

    /// A commit is told by name.
    pub(crate) fn shows_commit(&self, sha: &str, name: &str) -> &Self {
        self.shows(sha, &format!("<{name}>")).shows(&sha[..7], &format!("<{name}7>"))
    }

    /// A commit of an example's own files (names changed) and of others. Gives its id.
    pub(crate) fn commit(&self, branch: &str, example: &str, files: &[(&str, &str)]) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(example);
        let mut all = BTreeMap::new();
        read(&root, &root, &mut all);
        all.extend(files.iter().map(|(path, text)| ((*path).to_owned(), File::new(text.as_bytes(), "100644"))));
        let sha = {
            let mut state = self.world.state();
            let repository = state.github.repository(REPOSITORY);
            // A new branch begins where the default one is.
            let default = repository.branches.get(repository.default_branch()).cloned();
            if let Some(default) = default.filter(|_| !repository.branches.contains_key(branch)) {
                repository.branches.insert(branch.to_owned(), default);
            }
            repository.commit_files(branch, all)
        };
        self.shows_commit(&sha, branch);
        sha
    }

    /// A pull request of `head` into `main`, and the commit that merging it would give.
    pub(crate) fn pull(&self, number: u64, head: &str, head_sha: &str, base: &str) -> String {
        let mut state = self.world.state();
        let repository = state.github.repository(REPOSITORY);
        let files = repository.commits[head_sha].files.clone();
        let merge_sha: String = head_sha.chars().rev().collect();
        let parents = vec![repository.branches.get(base).cloned().unwrap_or_default(), head_sha.to_owned()];
        repository.commits.insert(merge_sha.clone(), Commit { message: "Merge".into(), date: None, parents, files });
        let pull = Pull {
            title: "A change".into(),
            state: "open".into(),
            head_ref: head.to_owned(),
            head_sha: head_sha.to_owned(),
            head_repository: Some(REPOSITORY.to_owned()),
            base_ref: base.to_owned(),
            merge_sha: merge_sha.clone(),
            ..Pull::default()
        };
        repository.pulls.insert(number, pull);
        drop(state);
        self.shows_commit(&merge_sha, "merge");
        merge_sha
    }

    /// A role that trusts this repository's jobs.
    pub(crate) fn role(&self, name: &str) -> &Self {
        let arn = format!("arn:aws:iam::123456789012:role/{name}");
        self.world.state().aws.roles.insert(arn, Role::for_subject("repo:acme/app:*"));
        self
    }

    /// A walk through a workflow, for a run that this event started.
    pub(crate) fn walk(&self, workflow: &str, event: Event) -> Walk<'_> {
        self.runs.set(self.runs.get() + 1);
        Walk::new(self, workflow, event, self.runs.get())
    }

    /// `http://…` of a door, as a container on `network` reaches it.
    pub(crate) fn url(&self, door: Door, network: Network) -> String {
        let port = self.world.addresses()[&door].port();
        match network {
            Network::Bridge => format!("http://{}:{port}", self.gateway),
            Network::Host => format!("http://127.0.0.1:{port}"),
        }
    }

    /// Where a webhook of the world's is found.
    pub(crate) fn webhook(&self, service: &str) -> String {
        self.world.webhook_url(service).replace("127.0.0.1", &self.gateway.to_string())
    }

    /// An image of the engine that goes when the test ends.
    pub(crate) fn made(&self, image: &str) {
        self.made.borrow_mut().push(image.to_owned());
    }

    /// Tags of an image in the world's registry, in order.
    pub(crate) fn tags(&self, image: &str) -> Vec<String> {
        let state = self.world.state();
        state.images.repositories.get(image).map(|found| found.tags.keys().cloned().collect()).unwrap_or_default()
    }

    /// The configuration of an image in the world's registry.
    pub(crate) fn image_config(&self, image: &str, tag: &str) -> serde_json::Value {
        let state = self.world.state();
        let repository = &state.images.repositories[image];
        let manifest: serde_json::Value = serde_json::from_str(&repository.find(tag).unwrap().1.text).unwrap();
        let blob = &repository.blobs[manifest["config"]["digest"].as_str().unwrap()];
        use base64::Engine as _;
        serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(blob).unwrap()).unwrap()
    }

    /// Ends the world; nothing may be left unexplained, and no container of ours may run.
    pub(crate) fn finish(self) {
        for image in self.made.borrow().iter() {
            let _ = docker(&["rmi", "--force", image]);
        }
        self.world.finish();
    }
}

/// How a job's containers are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// The engine's default bridge, as on a runner.
    Bridge,
    /// The machine's own. For steps that speak to the registry themselves: it is on the loopback here, while the one that it
    /// stands for is found from everywhere.
    Host,
}

/// The default bridge's own address on this machine.
fn gateway() -> IpAddr {
    let told = docker(&[
        "network",
        "inspect",
        "bridge",
        "--format",
        "{{with index .IPAM.Config 0}}{{.Subnet}} {{.Gateway}}{{end}}",
    ])
    .unwrap();
    let (subnet, gateway) = told.trim().split_once(' ').unwrap_or((told.trim(), ""));
    // An engine on its first start does not name it; it is the subnet's first then.
    let first = || {
        let base: Ipv4Addr = subnet.split('/').next().unwrap().parse().unwrap();
        IpAddr::V4(Ipv4Addr::from(u32::from(base) + 1))
    };
    gateway.parse().unwrap_or_else(|_| first())
}

fn read(root: &Path, at: &Path, files: &mut BTreeMap<String, File>) {
    for entry in std::fs::read_dir(at).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read(root, &path, files);
        } else {
            let mode = if entry.metadata().unwrap().permissions().mode() & 0o111 == 0 { "100644" } else { "100755" };
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            files.insert(name, File::new(&std::fs::read(&path).unwrap(), mode));
        }
    }
}

/// The job's own token.
pub(crate) const JOB_TOKEN: &str = TOKEN;

//! The fake world: one model of everything outside, thin HTTP skins over it, faults switched on by state.
//!
//! ```ignore
//! mod world;
//! use world::{Fault, Skin, World, ecs::Script};
//!
//! let world = World::start().await;                                       // every skin on its own 127.0.0.1 port
//! world.state().github.repository("acme/app").commit("main", &[("go.mod", "module app\n")]);
//! world.state().service("prod", "web", "acme/web:1");                     // a running service, revision web:1
//! world.state().ecs.script("web", "acme/web:bad*", Script::crash_loop(1));
//! world.fault(Fault::on(Skin::Ecs).target("DescribeServices").nth(2).error("ThrottlingException", "Rate exceeded"));
//! // ... run the binary or a client with `world.env()`, then look at what happened:
//! assert_eq!(world.take_writes(), ["ecs RegisterTaskDefinition web:2", "ecs UpdateService prod/web web:2"]);
//! world.finish();                  // no unknown route, no violation, no write left unexplained, every fault used
//! ```
//!
//! - The state is plain data: `world.state()` locks it; read and change what you like between requests.
//! - Time: `world.advance(..)` moves the world's clock; timelines count observations ([`After::Polls`]) or that
//!   clock ([`After::Millis`]). No test sleeps.
//! - A request that no skin knows is a violation, as is a credential sent where it must not go; `finish` reports them.
//! - A write is whatever changed the outside: each one lands in a ledger, and a test must take it with
//!   `take_writes()` or `explain_writes()`.
//! - To extend a skin, add an arm to its `handle`; to add a skin, a file, a `Skin` and an arm in `http::dispatch`.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "test support: shared by several test binaries, each using a part of it, and free to panic"
)]

pub mod alarms;
pub mod archive;
pub mod artifacts;
pub mod aws;
pub mod clock;
pub mod codeload;
pub mod control;
pub mod ecr;
pub mod ecs;
pub mod elb;
pub mod faults;
pub mod github;
pub mod health;
pub mod http;
pub mod images;
pub mod logs;
pub mod oidc;
pub mod record;
pub mod registry;
pub mod scans;
pub mod secrets;
pub mod ssm;
pub mod state;
pub mod strays;
pub mod sts;
pub mod webhook;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::watch;

pub use clock::After;
pub use faults::Fault;
pub use http::{Door, Skin};
pub use record::Recorded;
pub use state::State;

/// What the servers and the handle share.
pub struct Shared {
    state: Mutex<State>,
    /// Names of the gates that are open; held requests wait for theirs.
    gates: watch::Sender<std::collections::BTreeSet<String>>,
    /// Set when the world ends: every held request is let go.
    closing: watch::Sender<bool>,
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running world. Must be ended with [`World::finish`].
pub struct World {
    shared: Arc<Shared>,
    addresses: BTreeMap<Door, SocketAddr>,
    thread: Option<std::thread::JoinHandle<()>>,
    finished: bool,
}

impl World {
    /// Starts a world on loopback ports of the system's choice.
    pub async fn start() -> Self {
        Self::start_with(State::new())
    }

    /// The same from a test that is not async.
    pub fn start_blocking() -> Self {
        Self::start_with(State::new())
    }

    /// Starts a world with a prepared state.
    pub fn start_with(state: State) -> Self {
        Self::listen(state, IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
    }

    /// Starts a world on `ip`; doors get consecutive ports from `port` on, or free ones when it is 0.
    ///
    /// The servers run on a thread of their own, so that a test may block in a child process meanwhile.
    pub fn listen(state: State, ip: IpAddr, port: u16) -> Self {
        Self::listen_on(state, &[ip], port)
    }

    /// The same on several addresses of the machine, with the same ports on each.
    pub fn listen_on(state: State, ips: &[IpAddr], port: u16) -> Self {
        let ips = ips.to_vec();
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            gates: watch::Sender::new(std::collections::BTreeSet::new()),
            closing: watch::Sender::new(false),
        });
        let (ready, addresses) = mpsc::channel();
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("world".into())
            .spawn(move || http::run(&serving, &ips, port, &ready))
            .expect("a thread for the world");
        let addresses: BTreeMap<Door, SocketAddr> = addresses.recv().expect("the world opens its doors");
        shared.lock().addresses.clone_from(&addresses);
        Self { shared, addresses, thread: Some(thread), finished: false }
    }

    /// Locks the state for reading and changing. Do not hold it across a request.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// `http://127.0.0.1:<port>` of a door.
    pub fn base(&self, door: Door) -> String {
        format!("http://{}", self.addresses[&door])
    }

    /// The addresses of all doors.
    pub fn addresses(&self) -> &BTreeMap<Door, SocketAddr> {
        &self.addresses
    }

    /// What `GITHUB_API_URL` would be, the prefix of an Enterprise Server included.
    pub fn github_url(&self) -> String {
        format!("{}{}", self.base(Door::Github), self.state().github.prefix)
    }

    /// What `AWS_ENDPOINT_URL` would be.
    pub fn aws_url(&self) -> String {
        self.base(Door::Aws)
    }

    /// `host:port` of the OCI registry, to be put before a repository's name.
    pub fn registry_host(&self) -> String {
        self.addresses[&Door::Registry].to_string()
    }

    /// What `ACTIONS_ID_TOKEN_REQUEST_URL` would be; it holds a query string already, as the real one does.
    pub fn oidc_url(&self) -> String {
        format!("{}/idtoken/0a1b2c?api-version=2.0", self.base(Door::Oidc))
    }

    /// The health page of a service; answers as the currently running revision does.
    pub fn health_url(&self, service: &str) -> String {
        format!("{}/{service}", self.base(Door::Health))
    }

    /// An address that takes messages in the form of `slack`, `discord` or `teams`, or any JSON object.
    pub fn webhook_url(&self, service: &str) -> String {
        let path = match service {
            "slack" => "services/T00000000/B00000000/s3cretslackwebhook",
            "discord" => "api/webhooks/123456789012345678/s3cretdiscordwebhook",
            "teams" => "workflows/s3cretteamsworkflow/triggers/manual/paths/invoke?sig=s3cretsignature",
            _ => "hook/s3cretplainwebhook",
        };
        format!("{}/{path}", self.base(Door::Webhook))
    }

    /// The environment that points a process at this world: GitHub, AWS with static keys.
    pub fn env(&self) -> Vec<(String, String)> {
        let mut env = self.github_env();
        env.extend(self.aws_env());
        env
    }

    /// `GITHUB_API_URL` and `GITHUB_SERVER_URL`.
    pub fn github_env(&self) -> Vec<(String, String)> {
        pairs(&[("GITHUB_API_URL", &self.github_url()), ("GITHUB_SERVER_URL", &self.base(Door::Github))])
    }

    /// The AWS endpoint, region and static keys of [`aws::STATIC_KEY_ID`]; the instance metadata service is off.
    pub fn aws_env(&self) -> Vec<(String, String)> {
        let region = self.state().aws.region.clone();
        pairs(&[
            ("AWS_ENDPOINT_URL", &self.aws_url()),
            ("AWS_REGION", &region),
            ("AWS_ACCESS_KEY_ID", aws::STATIC_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", aws::STATIC_SECRET),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ])
    }

    /// The AWS endpoint and region, and the OIDC token request variables instead of keys.
    pub fn oidc_env(&self) -> Vec<(String, String)> {
        let region = self.state().aws.region.clone();
        let bearer = self.state().oidc.bearer.clone();
        pairs(&[
            ("AWS_ENDPOINT_URL", &self.aws_url()),
            ("AWS_REGION", &region),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", &self.oidc_url()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", &bearer),
        ])
    }

    /// Adds a fault rule.
    pub fn fault(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Opens a gate: the requests held by it, and all later ones, go on.
    pub fn release(&self, gate: &str) {
        self.shared.gates.send_modify(|open| {
            open.insert(gate.to_owned());
        });
    }

    /// Moves the world's clock forward.
    pub fn advance(&self, by: Duration) {
        self.state().clock.advance(by);
    }

    /// Every request that reached a skin so far, oldest first.
    pub fn requests(&self, skin: Skin) -> Vec<Recorded> {
        self.state().requests.iter().filter(|request| request.skin == skin).cloned().collect()
    }

    /// `method path` (or the AWS operation) of every request to a skin, oldest first.
    pub fn calls(&self, skin: Skin) -> Vec<String> {
        self.requests(skin).iter().map(Recorded::call).collect()
    }

    /// The writes not yet taken, oldest first, as `skin what object`; afterwards they count as explained.
    pub fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.state().writes)
    }

    /// Declares every write so far explained, for tests whose subject is something else.
    pub fn explain_writes(&self) {
        self.state().writes.clear();
    }

    /// Ends the world and asserts that nothing unexpected happened to it.
    ///
    /// # Panics
    /// On an unknown route, a violation, a write nobody took or a fault that never struck.
    pub fn finish(mut self) {
        let left = self.unexplained();
        self.shut();
        assert!(left.is_empty(), "the world was left with:\n- {}", left.join("\n- "));
    }

    /// What [`World::finish`] would complain about.
    pub fn unexplained(&self) -> Vec<String> {
        let state = self.state();
        let mut left: Vec<String> = state.problems.clone();
        left.extend(state.writes.iter().map(|write| format!("unexplained write: {write}")));
        left.extend(state.faults.iter().filter(|f| f.is_unused()).map(|f| format!("fault never struck: {f:?}")));
        left
    }

    /// Ends the world without asserting anything.
    pub fn close(mut self) {
        self.shut();
    }

    fn shut(&mut self) {
        self.finished = true;
        self.shared.closing.send_replace(true);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the world's thread ends");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.finished {
            self.shut();
            assert!(std::thread::panicking(), "a world must be ended with finish()");
        }
    }
}

fn pairs(values: &[(&str, &str)]) -> Vec<(String, String)> {
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

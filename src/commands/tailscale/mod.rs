//! Purpose: the runner joins a private network for the time of a job, and leaves it at the end whatever happens.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::framework::{Command, Limit, Verdict};
use super::run::Run;
use super::shared::Group;
use super::upstream::Clients;
use crate::contract::values::{Flag, List, Secret, Span};
use crate::domain::markdown::{Markdown, code};
use crate::domain::reference::ImageRef;
use crate::domain::tailnet::{HostPort, host_name};
use crate::runner::{Failure, Kind, Problems};
use crate::services::tailscale::{OauthClient, Tailscale};

mod node;

/// `tailscale`.
pub struct JoinTailnet;

/// Tailscale 1.102.5, by digest.
pub const TAILSCALE_IMAGE: &str =
    "tailscale/tailscale@sha256:c507f3a2a6ab1cabd8d809b98edeb41edbd5c3fb6ad9632ffd098b4c7d0b4065";

/// Under which the post stage finds the container.
const STATE: &str = "tailscale_container";
/// Time to join and to reach what is waited for.
const USUAL_LIMIT: Duration = Duration::from_secs(180);

/// Inputs of `tailscale`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// Id of an OAuth client with the scope `auth_keys`.
    pub oauth_client_id: Option<String>,
    /// Its secret.
    pub oauth_secret: Option<Secret>,
    /// Instead of an OAuth client: an auth key; it should be ephemeral.
    pub authkey: Option<Secret>,
    /// Tags of the node, for example `tag:ci`. Required with an OAuth client.
    pub tags: List,
    /// Name of the node. Default: made from repository and run.
    pub hostname: Option<String>,
    /// Image of Tailscale. Default: a version that Landfall was made for, by digest.
    pub tailscale_image: Option<String>,
    /// Addresses that must be reachable, `host:port` each.
    pub wait_for: List,
    /// Use the routes that other nodes offer: needed for databases behind a subnet router. Default: true.
    pub accept_routes: Option<Flag>,
    /// Address of Tailscale's API. Default: `https://api.tailscale.com`.
    pub api_url: Option<String>,
    /// Address of another control server (Headscale), for use with `authkey`.
    pub login_server: Option<String>,
    /// Time to join and to reach what is waited for. Default: 3m.
    pub timeout: Option<Span>,
}

/// Outputs of `tailscale`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// The node's address in the network, IPv4 when it has one.
    pub ip: Option<String>,
    /// The node's name in the network.
    pub node: Option<String>,
}

/// How the node gets in.
#[derive(Debug)]
enum Admission {
    Oauth(OauthClient),
    Key(SecretString),
}

/// The node that is going to be.
#[derive(Debug, Serialize)]
pub struct Plan {
    #[serde(skip)]
    admission: Admission,
    hostname: String,
    image: String,
    tags: Vec<String>,
    #[serde(skip)]
    wait_for: Vec<HostPort>,
    accept_routes: bool,
    api_url: String,
    login_server: Option<String>,
    #[serde(skip)]
    limit: Duration,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.admission {
            Admission::Oauth(_) => "an OAuth client's key",
            Admission::Key(_) => "the auth key",
        };
        write!(f, "start the node {} with {how}, from {}", self.hostname, self.image)?;
        if !self.tags.is_empty() {
            write!(f, "\ntags: {}", self.tags.join(", "))?;
        }
        self.wait_for.iter().try_for_each(|address| write!(f, "\nwait until {address} can be reached"))?;
        write!(f, "\nlog it out and remove it at the end of the job")
    }
}

impl Command for JoinTailnet {
    const NAME: &'static str = "tailscale";
    const TITLE: &'static str = "Reach a private network";
    const BRANDING: (&'static str, &'static str) = ("lock", "blue");
    const GROUPS: &'static [Group] = &[Group::Engine];
    const LIMIT: Limit = Limit::Own;

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, _outputs: &mut Outputs) -> Result<Plan, Failure> {
        let mut problems = Problems::default();
        let admission = admission(&inputs, &mut problems);
        let wait_for: Vec<HostPort> =
            inputs.wait_for.0.iter().filter_map(|text| problems.check("wait_for", text.parse())).collect();
        let image = inputs.tailscale_image.unwrap_or_else(|| TAILSCALE_IMAGE.to_owned());
        problems.check("tailscale_image", image.parse::<ImageRef>());
        let hostname = match &inputs.hostname {
            Some(given) if host_name(given) == given.to_ascii_lowercase() && !given.is_empty() => given.clone(),
            Some(given) => {
                problems.add("hostname", format!("is '{given}'; use letters, digits and single hyphens, at most 63"));
                String::new()
            }
            None => usual_name(run),
        };
        problems.into_result()?;
        let Some(admission) = admission else {
            return Err(Failure::input("authkey is required and not set", "Set `authkey`."));
        };
        Ok(Plan {
            admission,
            hostname,
            image,
            tags: inputs.tags.0,
            wait_for,
            accept_routes: inputs.accept_routes.is_none_or(|flag| flag.0),
            api_url: inputs.api_url.unwrap_or_else(|| "https://api.tailscale.com".to_owned()),
            login_server: inputs.login_server,
            limit: inputs.timeout.map_or(USUAL_LIMIT, |limit| limit.0),
        })
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        let engine = run.unless_cancelled(Clients::new(run).engine()).await??;
        let key = match &plan.admission {
            Admission::Key(key) => key.clone(),
            Admission::Oauth(client) => {
                let api = Tailscale::new(&plan.api_url, run.secret_observer())?;
                run.unless_cancelled(api.node_key(client, &plan.tags)).await??
            }
        };
        let name = format!("landfall-tailscale-{}", run.random.token());
        // Before there is anything to find: a run may be killed at any time.
        run.state.save(STATE, &name).map_err(state_lost)?;
        let group = run.log.group(format!("Join as {}", plan.hostname));
        let joined = tokio::select! {
            joined = tokio::time::timeout(plan.limit, node::join(&engine, &plan, &name, &key, run, outputs)) => {
                joined.unwrap_or_else(|_| Err(late(&plan, outputs)))
            }
            () = run.cancel.cancelled() => Err(Failure::cancelled()),
        };
        drop(group);
        if let Err(failure) = joined {
            node::leave(&engine, &name, run).await;
            return Err(failure);
        }
        let ip = outputs.ip.clone().unwrap_or_default();
        let node = outputs.node.clone().unwrap_or_default();
        let reached = plan.wait_for.iter().map(|address| format!("{} can be reached", code(&address.to_string())));
        let section = Markdown::new().heading(3, "Tailscale").raw(&format!("Node {} at {}", code(&node), code(&ip)));
        run.summary.section(section.bullets(reached).into_string());
        Ok(Verdict::Success("joined"))
    }

    async fn post(run: &Run) -> Result<(), Failure> {
        let Some(name) = run.state.get(STATE).filter(|name| !name.is_empty()).map(str::to_owned) else {
            return Ok(());
        };
        let engine = Clients::new(run).engine().await?;
        node::leave(&engine, &name, run).await;
        Ok(())
    }
}

fn admission(inputs: &Inputs, problems: &mut Problems) -> Option<Admission> {
    match (&inputs.authkey, &inputs.oauth_client_id, &inputs.oauth_secret) {
        (Some(key), None, None) => Some(Admission::Key(key.0.clone())),
        (None, Some(id), Some(secret)) => {
            if inputs.tags.0.is_empty() {
                problems.add("tags", "is required with an OAuth client, for example tag:ci");
            }
            if inputs.login_server.is_some() {
                problems.add("login_server", "goes with authkey only: OAuth clients belong to Tailscale's own server");
            }
            for tag in inputs.tags.0.iter().filter(|tag| !tag.starts_with("tag:")) {
                problems.add("tags", format!("has '{tag}', which must begin with tag:"));
            }
            Some(Admission::Oauth(OauthClient { id: id.clone(), secret: secret.0.clone() }))
        }
        (None, None, None) => {
            problems.add("authkey", "or oauth_client_id and oauth_secret are required");
            None
        }
        (Some(_), _, _) => {
            problems.add("authkey", "and an OAuth client exclude each other");
            None
        }
        (None, id, _) => {
            let missing = if id.is_none() { "oauth_client_id" } else { "oauth_secret" };
            problems.add(missing, "is required beside the other half of the OAuth client");
            None
        }
    }
}

/// `ci-acme-app-4711-1`.
fn usual_name(run: &Run) -> String {
    let github = &run.github;
    let parts = [github.repository.as_deref(), github.run_id.as_deref(), github.run_attempt.as_deref()];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    host_name(&format!("ci-{}", parts.join("-")))
}

fn state_lost(error: crate::runner::FileCommandError) -> Failure {
    Failure::new(Kind::Work, "state-unwritable", "Nothing started", "the post step could not be told what to remove")
        .caused_by(error)
}

fn late(plan: &Plan, outputs: &Outputs) -> Failure {
    let limit = Span(plan.limit);
    if outputs.ip.is_none() {
        return Failure::new(Kind::Work, "timeout", "Not joined", format!("the node did not join within {limit}"))
            .hint("Its log above says what it waits for; raise `timeout` if it may take longer.");
    }
    let waited: Vec<String> = plan.wait_for.iter().map(ToString::to_string).collect();
    let message = format!("the node joined, but {} could not be reached within {limit}", waited.join(" and "));
    Failure::new(Kind::Work, "unreachable", "Not reachable", message)
        .hint("Check the tailnet's policy: the node's tags must be allowed to reach that address and port.")
        .hint("A database behind a subnet router needs `accept_routes`, and the route must be approved.")
}

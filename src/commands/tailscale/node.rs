//! Purpose: one node in a container on the host's network: started, joined, left.

use std::sync::Mutex;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::{Outputs, Plan};
use crate::commands::run::Run;
use crate::commands::upstream::tool_login;
use crate::domain::build_event::LogStream;
use crate::domain::container::Status;
use crate::domain::tailnet::{HostPort, Node, NodeState};
use crate::runner::{Failure, Kind};
use crate::services::engine::{ContainerSpec, Engine, EngineError, Exec, Network};
use crate::services::toolbox::{self, Tool, Toolbox};

/// Where the key lies in the container: never in arguments or environment, which others can see.
const KEY_FILE: &str = "/run/landfall/authkey";
const SOCKET: &str = "/run/landfall/tailscaled.sock";
/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(500);
/// Time to log out; the node is ephemeral and goes by itself soon after.
const FAREWELL: Duration = Duration::from_secs(4);

/// Starts the node, waits until it is part of the network and reaches what it must reach.
pub(super) async fn join(
    engine: &Engine,
    plan: &Plan,
    name: &str,
    key: &SecretString,
    run: &Run,
    outputs: &mut Outputs,
) -> Result<(), Failure> {
    let mut tool = Tool::new(&plan.image, Vec::<String>::new());
    tool.login = tool_login(run, engine, &plan.image).await?;
    Toolbox::new(engine).provide(&tool, |line| run.log.info(line)).await?;
    let id = engine.create(&spec(plan, name)).await?;
    toolbox::put(engine, &id, &toolbox::Upload::bytes(KEY_FILE, key.expose_secret().as_bytes().to_vec()).private())
        .await?;
    engine.start(&id).await.map_err(|error| no_tun(error, plan))?;
    run.log.info("the node runs and logs in");
    up(engine, plan, &id, run).await?;
    let node = running(engine, &id).await?;
    for complaint in &node.health {
        run.log.info(format!("Tailscale notes: {complaint}"));
    }
    outputs.ip = node.addresses.first().cloned();
    outputs.node = node.name.or_else(|| Some(plan.hostname.clone()));
    run.log.info(format!(
        "joined as {} at {}",
        outputs.node.as_deref().unwrap_or_default(),
        outputs.ip.as_deref().unwrap_or_default()
    ));
    for address in &plan.wait_for {
        reached(engine, &id, address).await?;
        run.log.info(format!("{address} can be reached"));
    }
    Ok(())
}

/// The daemon keeps its state in memory: the node is gone with it.
fn spec(plan: &Plan, name: &str) -> ContainerSpec {
    let words = ["tailscaled", "--state=mem:", "--statedir=/run/landfall/state", "--socket"];
    let mut entrypoint: Vec<String> = words.map(str::to_owned).to_vec();
    entrypoint.push(SOCKET.to_owned());
    ContainerSpec {
        name: Some(name.to_owned()),
        entrypoint: Some(entrypoint),
        command: Some(Vec::new()),
        network: Network::Host,
        capabilities: vec!["NET_ADMIN".to_owned(), "NET_RAW".to_owned()],
        devices: vec!["/dev/net/tun".to_owned()],
        labels: [(toolbox::LABEL.to_owned(), plan.image.clone())].into(),
        ..ContainerSpec::new(&plan.image)
    }
}

fn cli(words: &[&str]) -> Exec {
    let own = ["tailscale", "--socket", SOCKET].iter().chain(words).map(|word| (*word).to_owned());
    Exec { command: own.collect(), ..Exec::default() }
}

/// Runs a command in the node's container: its exit code and what it wrote, at most 256 KiB.
async fn said(engine: &Engine, id: &str, exec: &Exec) -> Result<(i64, String), EngineError> {
    let written = Mutex::new(Vec::new());
    let note = |_: LogStream, data: &[u8]| {
        if let Ok(mut written) = written.lock()
            && written.len() < 256 * 1024
        {
            written.extend_from_slice(data);
        }
    };
    let code = engine.exec(id, exec, note).await?;
    let written = written.into_inner().unwrap_or_default();
    Ok((code, String::from_utf8_lossy(&written).into_owned()))
}

/// Logs in. The daemon needs a moment until it listens.
async fn up(engine: &Engine, plan: &Plan, id: &str, run: &Run) -> Result<(), Failure> {
    let key = format!("--auth-key=file:{KEY_FILE}");
    let hostname = format!("--hostname={}", plan.hostname);
    let routes = format!("--accept-routes={}", plan.accept_routes);
    let mut words = vec!["up", &key, &hostname, &routes, "--accept-dns=false"];
    let tags = format!("--advertise-tags={}", plan.tags.join(","));
    if !plan.tags.is_empty() {
        words.push(&tags);
    }
    let server = plan.login_server.as_ref().map(|server| format!("--login-server={server}"));
    words.extend(server.as_deref());
    loop {
        let (code, written) = match said(engine, id, &cli(&words)).await {
            Ok(said) => said,
            Err(EngineError::Conflict { .. } | EngineError::NotFound { .. }) => return Err(died(engine, id).await),
            Err(error) => return Err(error.into()),
        };
        let deaf = ["failed to connect", "connection refused", "no such file", "doesn't appear to be running"];
        if code != 0 && deaf.iter().any(|words| written.contains(words)) {
            tokio::time::sleep(INTERVAL).await;
            continue;
        }
        written.lines().for_each(|line| run.log.foreign(line));
        return if code == 0 { Ok(()) } else { Err(explained(engine, id, &written, code).await) };
    }
}

async fn running(engine: &Engine, id: &str) -> Result<Node, Failure> {
    loop {
        let (code, written) = match said(engine, id, &cli(&["status", "--json"])).await {
            Ok(said) => said,
            Err(EngineError::Conflict { .. } | EngineError::NotFound { .. }) => return Err(died(engine, id).await),
            Err(error) => return Err(error.into()),
        };
        let json = written.find('{').and_then(|at| serde_json::from_str(&written[at..]).ok());
        match json.as_ref().and_then(Node::of) {
            Some(node) if node.state == NodeState::Running && !node.addresses.is_empty() => return Ok(node),
            Some(node) if node.state == NodeState::NeedsApproval => {
                return Err(Failure::new(
                    Kind::Auth,
                    "tailscale-approval",
                    "Not joined",
                    "the node has to be approved",
                )
                .hint("Use an OAuth client or a pre-approved auth key: nobody approves a node while a job waits."));
            }
            None if code == 126 || code == 127 => return Err(explained(engine, id, &written, code).await),
            _ => tokio::time::sleep(INTERVAL).await,
        }
    }
}

/// Tries from the host's network, which is where the job's steps are.
async fn reached(engine: &Engine, id: &str, address: &HostPort) -> Result<(), Failure> {
    let port = address.port.to_string();
    let exec = |words: &[&str]| {
        let words = words.iter().copied().chain([address.host.as_str(), port.as_str()]).map(str::to_owned);
        Exec { command: words.collect(), ..Exec::default() }
    };
    let mut try_out = exec(&["nc", "-z", "-w", "3"]);
    loop {
        match said(engine, id, &try_out).await {
            Ok((0, _)) => return Ok(()),
            Ok((code @ (126 | 127), written)) => return Err(explained(engine, id, &written, code).await),
            // A busybox whose nc only connects: what is still connected after its limit was reached.
            Ok((_, written)) if written.contains("invalid option") || written.contains("unrecognized option") => {
                try_out = exec(&["timeout", "5", "nc", "-w", "3"]);
            }
            Ok((124 | 137 | 143, _)) => return Ok(()),
            Ok(_) => tokio::time::sleep(INTERVAL).await,
            Err(EngineError::Conflict { .. } | EngineError::NotFound { .. }) => return Err(died(engine, id).await),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Logs the node out and removes it, as far as there is anything of it. What cannot be done is said, and no failure: the
/// node is ephemeral.
pub(super) async fn leave(engine: &Engine, name: &str, run: &Run) {
    let out = tokio::time::timeout(FAREWELL, said(engine, name, &cli(&["logout"]))).await;
    match out {
        Ok(Ok((0, _))) => run.log.info("the node is logged out"),
        // There is no such container, or it does not run: nothing is logged in.
        Ok(Err(EngineError::NotFound { .. } | EngineError::Conflict { .. })) => {}
        Ok(Ok(_) | Err(_)) | Err(_) => {
            run.log.info("the node could not be logged out; it is ephemeral, and Tailscale removes it by itself");
        }
    }
    if let Err(error) = engine.remove(name).await {
        run.log.warn("Container left", format!("the container {name} could not be removed: {error}"));
    }
}

async fn died(engine: &Engine, id: &str) -> Failure {
    let lines = engine.last_logs(id, 20).await.unwrap_or_default();
    let last = lines.iter().rev().find(|line| !line.text.trim().is_empty());
    let failure = Failure::new(Kind::Work, "tailscale-failed", "Tailscale ended", "Tailscale's daemon ended by itself");
    match last {
        Some(line) => failure.hint(format!("Its last words: {}", line.text.trim())),
        None => failure.hint("It said nothing."),
    }
    .hint("It needs /dev/net/tun and the right to change the host's network: a runner without them cannot join.")
}

/// Why a command failed: some engines say of a container that has ended that the command cannot be run.
async fn explained(engine: &Engine, id: &str, written: &str, code: i64) -> Failure {
    match engine.container(id).await {
        Ok(Some(container)) if container.state.status == Status::Running => refused(written, code),
        _ => died(engine, id).await,
    }
}

fn refused(written: &str, code: i64) -> Failure {
    let said = written.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim();
    let lower = written.to_lowercase();
    let is_about_the_key =
        ["invalid key", "key expired", "not valid", "unauthorized", "not permitted", "unable to validate"];
    if is_about_the_key.iter().any(|words| lower.contains(words)) {
        return Failure::new(
            Kind::Auth,
            "tailscale-forbidden",
            "Not joined",
            format!("Tailscale refuses the key: {said}"),
        )
        .hint("An auth key is used up, expired or revoked; or the tags are not allowed for it.");
    }
    Failure::new(Kind::Work, "tailscale-failed", "Not joined", format!("tailscale ended with exit code {code}: {said}"))
        .hint("Is `tailscale_image` an image of Tailscale, with `tailscaled`, `tailscale` and `nc`?")
}

fn no_tun(error: EngineError, plan: &Plan) -> Failure {
    let failure = Failure::from(error);
    failure.hint(format!("{} must hold `tailscaled`, and the engine's host must have /dev/net/tun.", plan.image))
}

//! Purpose: the fake world as a process of its own, for demonstrations.
//!
//! `world [--listen IP:PORT] [--seed FILE]`: the doors get consecutive ports from PORT on, in the order of
//! `Door::ALL`; port 0 gives free ones. One JSON line with the addresses says that it is ready; SIGTERM or SIGINT
//! ends it. The control door answers `GET /state`, `/requests`, `/unexplained` and takes `POST /faults`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a development tool with a command line of its own"
)]

#[path = "mod.rs"]
mod world;

use std::net::SocketAddr;
use std::process::ExitCode;

use world::{State, World};

struct Arguments {
    listen: SocketAddr,
    seed: Option<String>,
}

fn main() -> ExitCode {
    let started = arguments().and_then(|arguments| {
        let state = planted(arguments.seed.as_deref())?;
        Ok(World::listen(state, arguments.listen.ip(), arguments.listen.port()))
    });
    match started {
        Ok(world) => serve(world),
        Err(message) => {
            eprintln!("world: {message}");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments { listen: SocketAddr::from(([127, 0, 0, 1], 0)), seed: None };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--seed" => arguments.seed = Some(value),
            "--listen" => {
                let address = value.parse();
                arguments.listen = address.map_err(|error| format!("--listen {value}: {error}"))?;
            }
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    Ok(arguments)
}

fn planted(seed: Option<&str>) -> Result<State, String> {
    let mut state = match seed {
        None => State::new(),
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|error| format!("cannot read the seed {path}: {error}"))?;
            serde_json::from_str(&text).map_err(|error| format!("the seed {path} is not usable: {error}"))?
        }
    };
    state.plant().map_err(|error| format!("a directory of the seed cannot be read: {error}"))?;
    Ok(state)
}

fn serve(world: World) -> ExitCode {
    let addresses: serde_json::Map<String, serde_json::Value> = world
        .addresses()
        .iter()
        .map(|(door, address)| (format!("{door:?}").to_lowercase(), address.to_string().into()))
        .collect();
    println!("{}", serde_json::Value::Object(addresses));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(ended());
    let left = world.state().problems.clone();
    world.explain_writes();
    world.close();
    for problem in &left {
        eprintln!("world: {problem}");
    }
    if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn ended() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let mut interrupt = signal(SignalKind::interrupt()).unwrap();
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

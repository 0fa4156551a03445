//! Purpose: removing exactly what was started, also when the step was killed in the middle.

use super::stack::{LABEL, STATE};
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::runner::{Failure, Kind};
use crate::services::engine::{Engine, EngineError};

/// At the end of the job: whatever bears the token that the step left.
pub(super) async fn post(run: &Run) -> Result<(), Failure> {
    let Some(token) = run.state.get(STATE) else {
        return Ok(());
    };
    let engine = Clients::new(run).engine().await?;
    remove(&engine, token, run).await
}

/// Containers first: they hold networks and volumes. One that cannot be removed does not keep the others.
pub(super) async fn remove(engine: &Engine, token: &str, run: &Run) -> Result<(), Failure> {
    let label = format!("{LABEL}={token}");
    let (mut removed, mut failed): (Vec<String>, Vec<EngineError>) = (Vec::new(), Vec::new());
    let mut note = |what: &str, name: &str, result: Result<(), EngineError>| match result {
        Ok(()) => removed.push(format!("{what} {name}")),
        Err(error) => failed.push(error),
    };
    for id in engine.containers_with(&label).await? {
        let result = engine.remove(&id).await;
        note("container", id.get(..12).unwrap_or(&id), result);
    }
    for id in engine.networks_with(&label).await? {
        let result = engine.remove_network(&id).await;
        note("network", id.get(..12).unwrap_or(&id), result);
    }
    for name in engine.volumes_with(&label).await? {
        let result = engine.remove_volume(&name).await;
        note("volume", &name, result);
    }
    if !removed.is_empty() {
        run.log.info(format!("removed {}", removed.join(", ")));
    }
    match failed.into_iter().next() {
        None => Ok(()),
        Some(error) => Err(Failure::new(
            Kind::Work,
            "not-removed",
            "Something is left",
            "not everything that was started could be removed",
        )
        .hint(format!("What is left bears the label {label}."))
        .caused_by(error)),
    }
}

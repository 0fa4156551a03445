//! Purpose: what belongs together: the label by which everything of one `up` is found again, its networks, its volumes.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::plan::{Plan, Shape};
use crate::commands::run::Run;
use crate::domain::compose::ProjectNetwork;
use crate::domain::container::Container;
use crate::domain::health::verdict::Cause;
use crate::runner::{Failure, Kind};
use crate::services::engine::{Engine, EngineError};

/// The label of everything that one `up` makes; its value is that one's token.
pub(super) const LABEL: &str = "landfall.up";
/// The label that names the service.
pub(super) const SERVICE: &str = "landfall.service";
/// The key under which the post stage finds the token.
pub(super) const STATE: &str = "up_label";

/// Everything of one `up`.
pub(super) struct Stack<'a> {
    pub(super) plan: &'a Plan,
    pub(super) run: &'a Run,
    pub(super) engine: Engine,
    token: String,
    /// The container that we run in.
    pub(super) own: Option<Container>,
    /// The network that we were put into for the time of the checks.
    joined: Option<String>,
    /// By service.
    pub(super) started: BTreeMap<String, Started>,
    pub(super) began: Instant,
}

/// A container that was started.
pub(super) struct Started {
    pub(super) id: String,
    pub(super) at: Instant,
    /// Since when it has been seen running.
    pub(super) running_since: Option<Instant>,
    /// What was last said about it in the log.
    pub(super) said: String,
    pub(super) cause: Option<Cause>,
}

impl<'a> Stack<'a> {
    /// Leaves the token for the post stage before anything is made: the step may be killed at any time.
    pub(super) async fn new(plan: &'a Plan, run: &'a Run, engine: Engine) -> Result<Self, Failure> {
        let token = run.random.token();
        run.state.save(STATE, &token).map_err(|error| {
            let failure = Failure::new(
                Kind::Work,
                "state-unwritable",
                "State not saved",
                "what is started could not be noted for its removal",
            );
            failure.caused_by(error)
        })?;
        let own = engine.own_container().await?;
        let began = Instant::now();
        Ok(Self { plan, run, engine, token, own, joined: None, started: BTreeMap::new(), began })
    }

    /// A name that is ours alone.
    pub(super) fn name(&self, part: &str) -> String {
        format!("landfall-{}-{part}", self.token.get(..8).unwrap_or(&self.token))
    }

    pub(super) fn labels(&self, service: Option<&str>) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([(LABEL.to_owned(), self.token.clone())]);
        labels.extend(service.map(|service| (SERVICE.to_owned(), service.to_owned())));
        labels
    }

    /// The network that all of it joins beside its own: the one asked for, else the job's.
    pub(super) fn outer_network(&self) -> Option<String> {
        let of_job = || {
            let own = self.own.as_ref().filter(|own| !own.is_on_host_network())?;
            own.networks.keys().find(|name| *name != "bridge").cloned()
        };
        self.plan.network.clone().or_else(of_job)
    }

    /// The engine's name of a network of the project.
    pub(super) fn network(&self, name: &str) -> String {
        match self.plan.project.networks.get(name) {
            Some(ProjectNetwork::External(external)) => external.clone(),
            _ => self.name(name),
        }
    }

    /// Makes what the services need; the network `default` is everybody's who names none.
    pub(super) async fn make_surroundings(&mut self) -> Result<(), Failure> {
        if self.plan.kind != Shape::Compose {
            return Ok(());
        }
        let project = &self.plan.project;
        let uses_default = |service: &crate::domain::compose::Service| {
            service.networks.is_empty() || service.networks.contains_key("default")
        };
        let mut own: Vec<&str> = Vec::new();
        if project.services.values().any(uses_default) && !project.networks.contains_key("default") {
            own.push("default");
        }
        for (name, network) in &project.networks {
            match network {
                ProjectNetwork::Own => own.push(name),
                ProjectNetwork::External(external) => {
                    if self.engine.network(external).await?.is_none() {
                        return Err(EngineError::NotFound { object: format!("network {external}") }.into());
                    }
                }
            }
        }
        for name in own {
            self.engine.create_network(&self.name(name), &self.labels(None)).await?;
        }
        for volume in &project.volumes {
            self.engine.create_volume(&self.name(volume), &self.labels(None)).await?;
        }
        Ok(())
    }

    /// Puts our own container into a network of a started container, so that its address can be reached from here.
    pub(super) async fn reach(&mut self, container: &Container) -> Result<(), Failure> {
        let Some(own) = self.own.as_ref().filter(|own| !own.is_on_host_network()) else {
            return Ok(());
        };
        if container.networks.keys().any(|name| own.networks.contains_key(name)) || self.joined.is_some() {
            return Ok(());
        }
        if let Some(name) = container.networks.keys().next() {
            self.engine.join(name, &own.id, &[]).await?;
            self.joined = Some(name.clone());
        }
        Ok(())
    }

    /// The network that we were put into by [`Self::reach`].
    pub(super) fn shared_network(&self) -> Option<&str> {
        self.joined.as_deref()
    }

    /// Takes our own container out again: a network with somebody in it cannot be removed.
    pub(super) async fn leave(&mut self) {
        if let (Some(network), Some(own)) = (self.joined.take(), &self.own)
            && let Err(error) = self.engine.leave(&network, &own.id).await
        {
            self.run.log.debug(format!("the network {network} was not left: {error}"));
        }
    }

    pub(super) async fn remove(&self) -> Result<(), Failure> {
        super::post::remove(&self.engine, &self.token, self.run).await
    }
}

//! Purpose: images at hand, and one service's container made and started.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::plan::{ONLY, Shape};
use super::stack::{Stack, Started};
use crate::commands::upstream::Clients;
use crate::domain::compose::Service;
use crate::domain::reference::ImageRef;
use crate::runner::{Failure, Kind};
use crate::services::engine::{Access, ContainerSpec, EngineError, Mount, Network};

impl Stack<'_> {
    /// Pulls what the engine does not have. What it has is taken as it is: an earlier step built or pulled it.
    pub(super) async fn fetch_images(&self) -> Result<(), Failure> {
        let images: BTreeSet<&str> =
            self.plan.project.services.values().map(|service| service.image.as_str()).collect();
        for image in images {
            if self.engine.image(image).await?.is_some() {
                continue;
            }
            let group = self.run.log.group(format!("Pull {image}"));
            let reference: Option<ImageRef> = image.parse().ok();
            let login = match &reference {
                Some(reference) => {
                    let own: Vec<&str> = self.plan.own_registries.iter().map(String::as_str).collect();
                    let existence = Clients::new(self.run).existence(Some(&self.engine), &own)?;
                    existence.login(reference.registry()).await?
                }
                None => None,
            };
            let pulled = self.engine.pull(image, None, login.as_ref(), |_| ()).await;
            pulled.map_err(|error| unpulled(image, error))?;
            drop(group);
        }
        Ok(())
    }

    /// Makes and starts the container of a service.
    pub(super) async fn start(&mut self, name: &str) -> Result<(), Failure> {
        let service = self.plan.project.services[name].clone();
        let spec = self.spec(name, &service);
        let id = self.engine.create(&spec).await?;
        let at = Instant::now();
        let started = Started { id: id.clone(), at, running_since: None, said: String::new(), cause: None };
        self.started.insert(name.to_owned(), started);
        self.engine.start(&id).await.map_err(|error| match error {
            // The engine's id says nothing to anybody.
            EngineError::Start { cause, message, .. } => {
                EngineError::Start { container: format!("{name} from {}", service.image), cause, message }.into()
            }
            error => error.into(),
        })
    }

    fn spec(&self, name: &str, service: &Service) -> ContainerSpec {
        let (given_name, memory, hosts) = match &self.plan.kind {
            Shape::One { name, memory, hosts } => (name.clone(), *memory, hosts.clone()),
            Shape::Compose => (Some(self.name(name)), None, Vec::new()),
        };
        let mounts = service.volumes.iter().map(|volume| Mount {
            source: self.name(&volume.name),
            target: volume.target.clone(),
            access: if volume.read_only { Access::Read } else { Access::Write },
        });
        ContainerSpec {
            name: given_name,
            entrypoint: service.entrypoint.clone(),
            command: service.command.clone(),
            environment: service.environment.clone(),
            labels: self.labels(Some(name)),
            ports: service.ports.clone(),
            mounts: mounts.collect(),
            network: self.networks_of(name, service),
            hosts,
            health: service.health.clone(),
            memory,
            ..ContainerSpec::new(service.image.clone())
        }
    }

    fn networks_of(&self, name: &str, service: &Service) -> Network {
        let mut joined: Vec<(String, Vec<String>)> = Vec::new();
        if self.plan.kind == Shape::Compose {
            let aliases = |given: &[String]| std::iter::once(name.to_owned()).chain(given.iter().cloned()).collect();
            if service.networks.is_empty() {
                joined.push((self.network("default"), aliases(&[])));
            }
            joined.extend(service.networks.iter().map(|(network, given)| (self.network(network), aliases(given))));
        }
        if let Some(outer) = self.outer_network() {
            match (outer.as_str(), joined.is_empty()) {
                ("host", true) => return Network::Host,
                ("none", true) => return Network::None,
                ("bridge" | "default", true) => return Network::Default,
                // Names of a compose file are its own affair; two services of one name in the job's network would be one too many.
                _ => joined.push((outer, if name == ONLY { Vec::new() } else { vec![name.to_owned()] })),
            }
        }
        if joined.is_empty() { Network::Default } else { Network::Joined(joined) }
    }
}

/// An image that is neither in the engine nor to be had.
fn unpulled(image: &str, error: EngineError) -> Failure {
    let failure = match error {
        EngineError::NotFound { .. } => {
            let message = format!("{image} is neither in the engine nor in the registry");
            Failure::new(Kind::Work, "image-not-found", "No such image", message)
        }
        error => error.into(),
    };
    failure.hint(
        "An image of an earlier job must come into this one's engine first: use `pull`, or build it here with `load`.",
    )
}

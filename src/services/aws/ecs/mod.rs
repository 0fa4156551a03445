//! Purpose: the calls to ECS that a deployment needs, and only those.
//!
//! Typed calls go through the SDK. Task definitions travel as raw JSON (see `super::json`), so that no key is lost
//! on the way in or out.

use aws_sdk_ecs::types as sdk;

use super::{AwsError, Call, Session};
use crate::domain::ecs::Service;
use crate::services::http::Repeat;

mod convert;
mod definitions;
mod deployments;
mod observer;
mod tasks;
mod together;

pub use definitions::Revision;
pub use observer::{Observer, trouble_kind};
pub use tasks::{DesiredStatus, OneOffTask};
pub use together::Together;

/// ECS in one cluster.
#[derive(Clone)]
pub struct Ecs {
    session: Session,
    client: aws_sdk_ecs::Client,
    cluster: String,
}

/// A service with what a one-off task of its kind needs.
#[derive(Debug, Clone)]
pub struct FoundService {
    /// What can be said of it.
    pub service: Service,
    /// Where and how its tasks run.
    pub launch: Launch,
}

/// Where and how tasks run: network, launch type or capacity providers, platform.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    pub(super) network: Option<sdk::NetworkConfiguration>,
    pub(super) launch_type: Option<sdk::LaunchType>,
    pub(super) providers: Option<Vec<sdk::CapacityProviderStrategyItem>>,
    pub(super) platform: Option<String>,
}

/// What a service is to become.
#[derive(Debug, Clone)]
pub struct ServiceUpdate<'a> {
    /// Name or ARN of the service.
    pub service: &'a str,
    /// ARN of the task definition.
    pub task_definition: &'a str,
    /// Tasks wanted; unchanged when absent.
    pub desired: Option<i32>,
    /// Whether to start a deployment although nothing else changes.
    pub force: bool,
}

impl Ecs {
    /// A client for one cluster, by name or ARN.
    #[must_use]
    pub fn new(session: &Session, cluster: &str) -> Self {
        let client = aws_sdk_ecs::Client::new(session.sdk_config());
        Self { session: session.clone(), client, cluster: cluster.to_owned() }
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Looks at services by name or ARN, at most ten; those that do not exist are left out.
    ///
    /// # Errors
    /// [`AwsError`]; a cluster that does not exist is a refusal of class not found.
    pub async fn services(&self, names: &[String]) -> Result<Vec<FoundService>, AwsError> {
        let call = Call::new("ecs", "DescribeServices", format!("{} in cluster {}", said(names), self.cluster));
        let request =
            || self.client.describe_services().cluster(&self.cluster).set_services(Some(names.to_vec())).send();
        let answer = self.session.send(Repeat::Always, &call, request).await?;
        let failure =
            answer.failures.into_iter().flatten().find(|failure| failure.reason.as_deref() != Some("MISSING"));
        if let Some(failure) = failure {
            let reason = failure.reason.unwrap_or_default();
            return Err(AwsError::refused(
                &call,
                400,
                Some(&reason),
                failure.detail.as_deref().unwrap_or_default(),
                None,
            ));
        }
        Ok(answer.services.into_iter().flatten().map(found).collect())
    }

    /// Looks at one service; nothing when it does not exist.
    ///
    /// # Errors
    /// As [`Self::services`].
    pub async fn service(&self, name: &str) -> Result<Option<FoundService>, AwsError> {
        Ok(self.services(&[name.to_owned()]).await?.into_iter().next())
    }

    /// Changes a service; returns it as it is afterwards.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn update(&self, update: &ServiceUpdate<'_>) -> Result<Service, AwsError> {
        let call = Call::new("ecs", "UpdateService", self.object(update.service));
        // Setting what is set already starts nothing; forcing starts a deployment every time.
        let repeat = if update.force { Repeat::IfWithoutEffect } else { Repeat::Always };
        let request = || {
            let request = self.client.update_service().cluster(&self.cluster).service(update.service);
            let request = request.task_definition(update.task_definition).set_desired_count(update.desired);
            request.set_force_new_deployment(update.force.then_some(true)).send()
        };
        let answer = Box::pin(self.session.send(repeat, &call, request)).await?;
        let service = answer.service.ok_or(AwsError::Malformed { call, expected: "the service" })?;
        Ok(convert::service(service))
    }

    /// The ARNs of all clusters of account and region.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn clusters(&self) -> Result<Vec<String>, AwsError> {
        let call = Call::new("ecs", "ListClusters", "the account");
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let request = || self.client.list_clusters().set_next_token(token.clone()).send();
            let answer = self.session.send(Repeat::Always, &call, request).await?;
            found.extend(answer.cluster_arns.into_iter().flatten());
            token = answer.next_token;
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// The same client for another cluster.
    #[must_use]
    pub fn in_cluster(&self, cluster: &str) -> Self {
        Self { cluster: cluster.to_owned(), ..self.clone() }
    }

    /// The ARNs of all services of the cluster.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn list_services(&self) -> Result<Vec<String>, AwsError> {
        let call = Call::new("ecs", "ListServices", format!("cluster {}", self.cluster));
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let request = || self.client.list_services().cluster(&self.cluster).set_next_token(token.clone()).send();
            let answer = self.session.send(Repeat::Always, &call, request).await?;
            found.extend(answer.service_arns.into_iter().flatten());
            token = answer.next_token;
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    fn object(&self, service: &str) -> String {
        format!("service {} in cluster {}", service.rsplit('/').next().unwrap_or(service), self.cluster)
    }
}

fn found(service: sdk::Service) -> FoundService {
    // A service with capacity providers has no launch type, and RunTask takes only one of the two.
    let providers = service.capacity_provider_strategy.clone().filter(|providers| !providers.is_empty());
    let launch = Launch {
        network: service.network_configuration.clone().filter(|network| network.awsvpc_configuration.is_some()),
        launch_type: service.launch_type.clone().filter(|_| providers.is_none()),
        providers,
        platform: service.platform_version.clone(),
    };
    FoundService { service: convert::service(service), launch }
}

fn said(names: &[String]) -> String {
    let short: Vec<&str> = names.iter().map(|name| name.rsplit('/').next().unwrap_or(name)).collect();
    short.join(", ")
}

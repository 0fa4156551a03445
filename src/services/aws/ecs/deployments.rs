//! Purpose: service deployments: listed, looked at, taken back, stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_ecs::types as sdk;
use jiff::Timestamp;

use super::super::{AwsError, Call};
use super::{Ecs, convert, said};
use crate::domain::ecs::ServiceDeployment;
use crate::services::http::{Repeat, RetryPolicy};

/// Most deployments or revisions that one call describes (API reference).
const DEPLOYMENTS_PER_CALL: usize = 20;
/// For calls that an emulator may not know.
const DOUBTED: RetryPolicy =
    RetryPolicy { attempts: 4, first_wait: Duration::from_millis(250), longest_wait: Duration::from_secs(1) };
/// Most pages of a service's past that are read: a thousand deployments in ninety days are one in two hours.
const HISTORY_PAGES: usize = 10;

impl Ecs {
    /// The service's deployments created after `since`, the newest first, at most one page of them.
    ///
    /// # Errors
    /// [`AwsError`]; tried less often than usual, because emulators that do not know the call fail in their own ways.
    pub async fn deployments(
        &self,
        service: &str,
        since: Option<Timestamp>,
    ) -> Result<Vec<ServiceDeployment>, AwsError> {
        let call = Call::new("ecs", "ListServiceDeployments", self.object(service));
        let created = since.map(|since| sdk::CreatedAt::builder().after(convert::date_time(since)).build());
        let request = || {
            let request = self.client.list_service_deployments().cluster(&self.cluster).service(service);
            request.set_created_at(created.clone()).max_results(100).send()
        };
        let answer = self.session.send_with(DOUBTED, Repeat::Always, &call, request).await?;
        let mut found: Vec<ServiceDeployment> =
            answer.service_deployments.into_iter().flatten().map(convert::brief).collect();
        found.sort_by_key(|deployment| std::cmp::Reverse(deployment.created_at));
        Ok(found)
    }

    /// The service's deployments that succeeded, the newest first, as far back as ECS remembers (90 days).
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn successful_deployments(&self, service: &str) -> Result<Vec<ServiceDeployment>, AwsError> {
        let call = Call::new("ecs", "ListServiceDeployments", self.object(service));
        let (mut found, mut token) = (Vec::new(), None);
        for _ in 0..HISTORY_PAGES {
            let request = || {
                let request = self.client.list_service_deployments().cluster(&self.cluster).service(service);
                let request = request.status(sdk::ServiceDeploymentStatus::Successful).max_results(100);
                request.set_next_token(token.clone()).send()
            };
            let answer = self.session.send_with(DOUBTED, Repeat::Always, &call, request).await?;
            found.extend(answer.service_deployments.into_iter().flatten().map(convert::brief));
            token = answer.next_token;
            if token.is_none() {
                break;
            }
        }
        found.sort_by_key(|deployment| std::cmp::Reverse(deployment.created_at));
        Ok(found)
    }

    /// Service deployments by ARN.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn describe_deployments(&self, arns: &[String]) -> Result<Vec<ServiceDeployment>, AwsError> {
        let call = Call::new("ecs", "DescribeServiceDeployments", said(arns));
        let mut found = Vec::new();
        for arns in arns.chunks(DEPLOYMENTS_PER_CALL) {
            let request =
                || self.client.describe_service_deployments().set_service_deployment_arns(Some(arns.to_vec())).send();
            let answer = self.session.send(Repeat::Always, &call, request).await?;
            found.extend(answer.service_deployments.into_iter().flatten().map(convert::service_deployment));
        }
        Ok(found)
    }

    /// The task definition of each of these service revisions.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn task_definitions_of(&self, revisions: &[String]) -> Result<BTreeMap<String, String>, AwsError> {
        let call = Call::new("ecs", "DescribeServiceRevisions", said(revisions));
        let mut found = BTreeMap::new();
        for arns in revisions.chunks(DEPLOYMENTS_PER_CALL) {
            let request =
                || self.client.describe_service_revisions().set_service_revision_arns(Some(arns.to_vec())).send();
            let answer = self.session.send(Repeat::Always, &call, request).await?;
            let revisions = answer.service_revisions.into_iter().flatten();
            found.extend(
                revisions.filter_map(|revision| Some((revision.service_revision_arn?, revision.task_definition?))),
            );
        }
        Ok(found)
    }

    /// Asks ECS to take a deployment back.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn roll_back_deployment(&self, arn: &str) -> Result<(), AwsError> {
        let call = Call::new("ecs", "StopServiceDeployment", format!("service deployment {arn}"));
        let request = || {
            let request = self.client.stop_service_deployment().service_deployment_arn(arn);
            request.stop_type(sdk::StopServiceDeploymentStopType::Rollback).send()
        };
        self.session.send(Repeat::Always, &call, request).await.map(drop)
    }

    /// Asks ECS to stop a deployment and leave the service as it is.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn abort_deployment(&self, arn: &str) -> Result<(), AwsError> {
        let call = Call::new("ecs", "StopServiceDeployment", format!("service deployment {arn}"));
        let request = || {
            let request = self.client.stop_service_deployment().service_deployment_arn(arn);
            request.stop_type(sdk::StopServiceDeploymentStopType::Abort).send()
        };
        self.session.send(Repeat::Always, &call, request).await.map(drop)
    }
}

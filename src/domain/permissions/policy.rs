//! Purpose: IAM policy, trust policy and `permissions:` block, from what is needed and where.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Resource, Uses};

/// Where an environment lives on AWS, as far as its config says.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// The region.
    pub region: Option<String>,
    /// The account.
    pub account: Option<String>,
    /// ECR repositories.
    pub repositories: Vec<String>,
    /// The ECS cluster.
    pub cluster: Option<String>,
    /// The ECS services.
    pub services: Vec<String>,
    /// Paths of parameters that are read.
    pub parameters: Vec<String>,
    /// Paths of parameters that are written.
    pub written_parameters: Vec<String>,
}

/// Whom a role trusts.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Host of the OIDC provider: `token.actions.githubusercontent.com`.
    pub provider: String,
    /// The repository.
    pub repository: String,
    /// Branch patterns that may assume it; a deployment environment of GitHub's instead, when there is one.
    pub branches: Vec<String>,
}

impl Place {
    fn arn(&self, service: &str, resource: &str) -> String {
        let any = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition, any(&self.region), any(&self.account))
    }

    fn each(&self, names: &[String], service: &str, prefix: &str, suffix: &str) -> Vec<String> {
        let any = ["*".to_owned()];
        let names = if names.is_empty() { any.as_slice() } else { names };
        names.iter().map(|name| self.arn(service, &format!("{prefix}{name}{suffix}"))).collect()
    }

    /// The resources of a kind, and the condition that narrows them further.
    fn resources(&self, kind: Resource) -> (Vec<String>, Option<Value>) {
        let cluster = self.cluster.as_deref().unwrap_or("*");
        let star = || vec!["*".to_owned()];
        match kind {
            Resource::Everything => (star(), None),
            Resource::Repositories => (self.each(&self.repositories, "ecr", "repository/", ""), None),
            Resource::Cluster => (vec![self.arn("ecs", &format!("cluster/{cluster}"))], None),
            Resource::Services => (self.each(&self.services, "ecs", &format!("service/{cluster}/"), ""), None),
            Resource::ServiceDeployments => {
                (self.each(&self.services, "ecs", &format!("service-deployment/{cluster}/"), "/*"), None)
            }
            Resource::ServiceRevisions => {
                (self.each(&self.services, "ecs", &format!("service-revision/{cluster}/"), "/*"), None)
            }
            Resource::Tasks => (vec![self.arn("ecs", &format!("task/{cluster}/*"))], None),
            Resource::InCluster => {
                let condition =
                    json!({ "ArnEquals": { "ecs:cluster": self.arn("ecs", &format!("cluster/{cluster}")) } });
                (star(), self.cluster.is_some().then_some(condition))
            }
            Resource::TaskDefinitions => (vec![self.arn("ecs", "task-definition/*:*")], None),
            Resource::TaskRoles => {
                let account = self.account.as_deref().unwrap_or("*");
                let condition = json!({ "StringEquals": { "iam:PassedToService": "ecs-tasks.amazonaws.com" } });
                (vec![format!("arn:{}:iam::{account}:role/*", self.partition)], Some(condition))
            }
            Resource::LogGroups => (vec![self.arn("logs", "log-group:*")], None),
            Resource::Parameters => (self.parameters_of(&self.parameters), None),
            Resource::WrittenParameters => (self.parameters_of(&self.written_parameters), None),
            Resource::Secrets => (vec![self.arn("secretsmanager", "secret:*")], None),
            Resource::Keys => {
                let region = self.region.as_deref().unwrap_or("*");
                let via = json!({ "StringEquals": { "kms:ViaService": format!("ssm.{region}.amazonaws.com") } });
                (vec![self.arn("kms", "key/*")], self.region.is_some().then_some(via))
            }
        }
    }

    /// A parameter's ARN holds its path without a second slash.
    fn parameters_of(&self, paths: &[String]) -> Vec<String> {
        let names: Vec<String> = paths.iter().map(|path| path.trim_start_matches('/').to_owned()).collect();
        self.each(&names, "ssm", "parameter/", "")
    }
}

/// The IAM policy that allows what is needed and nothing else, as IAM reads it.
#[must_use]
pub fn policy(uses: &Uses, place: &Place) -> Value {
    let mut by_kind: BTreeMap<Resource, BTreeSet<&'static str>> = BTreeMap::new();
    for need in uses.aws() {
        by_kind.entry(need.on).or_default().insert(need.action);
    }
    let statement = |(kind, actions): (Resource, BTreeSet<&'static str>)| {
        let (resources, condition) = place.resources(kind);
        let mut statement = Map::new();
        statement.insert("Sid".into(), json!(format!("{kind:?}")));
        statement.insert("Effect".into(), json!("Allow"));
        statement.insert("Action".into(), json!(actions));
        statement.insert("Resource".into(), json!(resources));
        if let Some(condition) = condition {
            statement.insert("Condition".into(), condition);
        }
        Value::Object(statement)
    };
    json!({ "Version": "2012-10-17", "Statement": by_kind.into_iter().map(statement).collect::<Vec<_>>() })
}

/// The trust policy of a role that these branches' jobs may assume (GitHub documentation, "configuring OpenID Connect in
/// Amazon Web Services").
#[must_use]
pub fn trust_policy(trust: &Trust, place: &Place) -> Value {
    let account = place.account.as_deref().unwrap_or("ACCOUNT_ID");
    let subject = |branch: &String| {
        let reference = if branch.starts_with("refs/") { branch.clone() } else { format!("refs/heads/{branch}") };
        format!("repo:{}:ref:{}", trust.repository, reference.replace("**", "*"))
    };
    let mut subjects: Vec<String> = trust.branches.iter().map(subject).collect();
    if subjects.is_empty() {
        subjects.push(format!("repo:{}:ref:refs/heads/main", trust.repository));
    }
    let (audience, subject) = (format!("{}:aud", trust.provider), format!("{}:sub", trust.provider));
    let like = subjects.iter().any(|subject| subject.contains('*'));
    let condition = if like {
        json!({ "StringEquals": { audience: "sts.amazonaws.com" }, "StringLike": { subject: subjects } })
    } else {
        json!({ "StringEquals": { audience: "sts.amazonaws.com", subject: subjects } })
    };
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Federated": format!("arn:{}:iam::{account}:oidc-provider/{}", place.partition, trust.provider) },
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": condition,
        }],
    })
}

/// The `permissions:` block of a job.
#[must_use]
pub fn permissions_block(uses: &Uses) -> String {
    let scopes = uses.github();
    if scopes.is_empty() {
        return "permissions: {}\n".to_owned();
    }
    let mut text = String::from("permissions:\n");
    for (scope, access) in scopes {
        let _ = writeln!(text, "  {scope}: {}", access.as_str());
    }
    text
}

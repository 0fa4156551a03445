//! Purpose: what each command needs to be allowed, on AWS and on GitHub: one table, and the policies that follow from it.
//!
//! The table is held against what the fake AWS and GitHub record while commands run (`tests/permissions.rs`): nothing
//! that is called is missing, nothing that stands here is never called.

mod policy;
mod table;
#[cfg(test)]
mod tests;

pub use policy::{Place, Trust, permissions_block, policy, trust_policy};
pub use table::{AWS, GITHUB};

/// One action on AWS that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwsNeed {
    /// The commands.
    pub commands: &'static [&'static str],
    /// The action: `ecs:UpdateService`.
    pub action: &'static str,
    /// What it is done to.
    pub on: Resource,
    /// When it is needed.
    pub when: When,
}

/// A kind of thing on AWS, as IAM knows it (AWS Service Authorization Reference).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Actions that know no resource.
    Everything,
    /// The ECR repositories of the environment.
    Repositories,
    /// The ECS cluster.
    Cluster,
    /// The ECS services.
    Services,
    /// Deployments of the ECS services.
    ServiceDeployments,
    /// Revisions of the ECS services.
    ServiceRevisions,
    /// Tasks in the cluster.
    Tasks,
    /// Lists that IAM narrows by the condition `ecs:cluster` only.
    InCluster,
    /// Task definitions, all families: their names stand in files.
    TaskDefinitions,
    /// Roles that tasks run with.
    TaskRoles,
    /// Log groups of the tasks.
    LogGroups,
    /// Parameters that are read.
    Parameters,
    /// Parameters that are written after a deployment.
    WrittenParameters,
    /// Secrets that task definitions name.
    Secrets,
    /// Keys that decrypt parameters.
    Keys,
}

/// When something is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// In every run.
    Always,
    /// When this input is set, or the config has what it stands for.
    With(&'static str),
    /// When the image's registry is of this kind.
    On(Registry),
}

/// A kind of registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// Amazon ECR.
    Ecr,
    /// GitHub's container registry.
    Ghcr,
}

/// One permission on GitHub that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GithubNeed {
    /// The command.
    pub command: &'static str,
    /// The scope, as in a workflow's `permissions:`.
    pub scope: &'static str,
    /// How much of it.
    pub access: Access,
    /// When it is needed.
    pub when: When,
}

/// How much of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

impl Access {
    /// The word in a workflow.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// What a workflow uses, as far as permissions depend on it.
#[derive(Debug, Clone, Default)]
pub struct Uses {
    /// The commands.
    pub commands: Vec<String>,
    /// Inputs that are set, and config that stands for them.
    pub with: Vec<String>,
    /// Kinds of registries.
    pub registries: Vec<Registry>,
    /// Whether a role is assumed through OIDC.
    pub assumes_role: bool,
}

impl Uses {
    fn take(&self, commands: &[&str], when: When) -> bool {
        let applies = match when {
            When::Always => true,
            When::With(input) => self.with.iter().any(|set| set == input),
            When::On(registry) => self.registries.contains(&registry),
        };
        applies && self.commands.iter().any(|used| commands.contains(&used.as_str()))
    }

    /// What is needed on AWS.
    pub fn aws(&self) -> impl Iterator<Item = &'static AwsNeed> {
        AWS.iter().filter(|need| self.take(need.commands, need.when))
    }

    /// What is needed on GitHub, each scope once with its highest access, in order of names.
    #[must_use]
    pub fn github(&self) -> Vec<(&'static str, Access)> {
        let mut scopes: Vec<(&'static str, Access)> = Vec::new();
        let role = self.assumes_role.then_some(("id-token", Access::Write));
        let needs = GITHUB.iter().filter(|need| self.take(&[need.command], need.when));
        for (scope, access) in needs.map(|need| (need.scope, need.access)).chain(role) {
            match scopes.iter_mut().find(|(known, _)| *known == scope) {
                Some((_, known)) => *known = access.max(*known),
                None => scopes.push((scope, access)),
            }
        }
        scopes.sort_unstable();
        scopes
    }
}

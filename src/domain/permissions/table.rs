//! Purpose: the table itself.

use super::Registry::{Ecr, Ghcr};
use super::Resource as On;
use super::When::{Always, On as OnRegistry, With};
use super::{Access, AwsNeed, GithubNeed, Resource, When};

const fn aws(commands: &'static [&'static str], action: &'static str, on: Resource, when: When) -> AwsNeed {
    AwsNeed { commands, action, on, when }
}

const fn read(command: &'static str, scope: &'static str, when: When) -> GithubNeed {
    GithubNeed { command, scope, access: Access::Read, when }
}

const fn write(command: &'static str, scope: &'static str, when: When) -> GithubNeed {
    GithubNeed { command, scope, access: Access::Write, when }
}

/// The commands that pull from a registry.
const PULLS: &[&str] = &["build", "merge", "pull", "scan", "up"];
/// The commands that change what a service runs.
const SHIPS: &[&str] = &["deploy", "rollback"];

/// What commands need on AWS. `sts:AssumeRoleWithWebIdentity` is not here: the role's trust policy grants it.
pub const AWS: &[AwsNeed] = &[
    aws(&["config"], "ssm:GetParameters", On::Parameters, With("ssm")),
    aws(&["config"], "kms:Decrypt", On::Keys, With("ssm")),
    aws(&["resolve"], "ecr:DescribeImages", On::Repositories, OnRegistry(Ecr)),
    aws(&["build"], "ecr:DescribeImages", On::Repositories, OnRegistry(Ecr)),
    aws(PULLS, "ecr:GetAuthorizationToken", On::Everything, OnRegistry(Ecr)),
    aws(PULLS, "ecr:BatchGetImage", On::Repositories, OnRegistry(Ecr)),
    aws(PULLS, "ecr:GetDownloadUrlForLayer", On::Repositories, OnRegistry(Ecr)),
    aws(&["build", "merge"], "ecr:BatchCheckLayerAvailability", On::Repositories, OnRegistry(Ecr)),
    aws(&["build", "merge"], "ecr:PutImage", On::Repositories, OnRegistry(Ecr)),
    aws(&["build"], "ecr:InitiateLayerUpload", On::Repositories, OnRegistry(Ecr)),
    aws(&["build"], "ecr:UploadLayerPart", On::Repositories, OnRegistry(Ecr)),
    aws(&["build"], "ecr:CompleteLayerUpload", On::Repositories, OnRegistry(Ecr)),
    aws(&["scan"], "ecr:StartImageScan", On::Repositories, OnRegistry(Ecr)),
    aws(&["scan"], "ecr:DescribeImageScanFindings", On::Repositories, OnRegistry(Ecr)),
    aws(&["login"], "ecr:GetAuthorizationToken", On::Everything, OnRegistry(Ecr)),
    // public.ecr.aws is named in `registries` only.
    aws(&["login"], "ecr-public:GetAuthorizationToken", On::Everything, With("registries")),
    aws(&["login"], "sts:GetServiceBearerToken", On::Everything, With("registries")),
    aws(&["metrics"], "ecr:DescribeImages", On::Repositories, OnRegistry(Ecr)),
    aws(SHIPS, "ecs:DescribeServices", On::Services, Always),
    aws(SHIPS, "ecs:ListServiceDeployments", On::Services, Always),
    aws(SHIPS, "ecs:DescribeServiceDeployments", On::ServiceDeployments, Always),
    aws(SHIPS, "ecs:DescribeServiceRevisions", On::ServiceRevisions, Always),
    aws(SHIPS, "ecs:DescribeTaskDefinition", On::Everything, Always),
    aws(&["deploy"], "ecs:RegisterTaskDefinition", On::TaskDefinitions, Always),
    aws(&["deploy"], "ecs:TagResource", On::TaskDefinitions, Always),
    aws(SHIPS, "iam:PassRole", On::TaskRoles, Always),
    aws(SHIPS, "ecs:UpdateService", On::Services, Always),
    aws(SHIPS, "ecs:StopServiceDeployment", On::ServiceDeployments, Always),
    aws(SHIPS, "ecs:ListTasks", On::InCluster, Always),
    aws(SHIPS, "ecs:DescribeTasks", On::Tasks, Always),
    aws(SHIPS, "logs:GetLogEvents", On::LogGroups, Always),
    aws(SHIPS, "logs:DescribeLogGroups", On::Everything, Always),
    // Why a deployment failed: asked when it has a load balancer or alarms, and goes wrong.
    aws(SHIPS, "elasticloadbalancing:DescribeTargetHealth", On::Everything, Always),
    aws(SHIPS, "cloudwatch:DescribeAlarms", On::Everything, Always),
    aws(SHIPS, "ecr:BatchGetImage", On::Repositories, OnRegistry(Ecr)),
    aws(&["deploy"], "ssm:GetParameters", On::Parameters, Always),
    aws(&["deploy"], "secretsmanager:DescribeSecret", On::Secrets, Always),
    aws(&["deploy"], "ecs:RunTask", On::TaskDefinitions, With("migrate")),
    aws(&["deploy"], "ecs:StopTask", On::Tasks, With("migrate")),
    aws(&["deploy"], "ecs:ListTaskDefinitions", On::Everything, With("keep_revisions")),
    aws(&["deploy"], "ecs:DeregisterTaskDefinition", On::Everything, With("keep_revisions")),
    // A revision may be in use in any cluster of the account.
    aws(&["deploy"], "ecs:ListClusters", On::Everything, With("keep_revisions")),
    aws(&["deploy"], "ecs:ListServices", On::Everything, With("keep_revisions")),
    aws(&["deploy"], "ecs:DescribeServices", On::Everything, With("keep_revisions")),
    aws(&["deploy"], "ecs:ListServiceDeployments", On::Everything, With("keep_revisions")),
    aws(&["deploy"], "ecs:DescribeServiceRevisions", On::Everything, With("keep_revisions")),
    aws(&["deploy"], "ecs:ListTasks", On::Everything, With("keep_revisions")),
    aws(&["deploy"], "ecs:DescribeTasks", On::Everything, With("keep_revisions")),
    aws(&["deploy"], "ssm:PutParameter", On::WrittenParameters, With("ssm_parameters")),
    // Which revisions there are to go back to.
    aws(&["rollback"], "ecs:ListTaskDefinitions", On::Everything, Always),
    aws(&["prune"], "ecr:DescribeImages", On::Repositories, OnRegistry(Ecr)),
    aws(&["prune"], "ecr:BatchGetImage", On::Repositories, OnRegistry(Ecr)),
    aws(&["prune"], "ecr:BatchDeleteImage", On::Repositories, OnRegistry(Ecr)),
    // What runs anywhere in the account keeps its image.
    aws(&["prune"], "ecs:ListClusters", On::Everything, OnRegistry(Ecr)),
    aws(&["prune"], "ecs:ListServices", On::Everything, OnRegistry(Ecr)),
    aws(&["prune"], "ecs:DescribeServices", On::Everything, OnRegistry(Ecr)),
    aws(&["prune"], "ecs:DescribeTaskDefinition", On::Everything, OnRegistry(Ecr)),
    aws(&["prune"], "ecs:ListTaskDefinitions", On::Everything, OnRegistry(Ecr)),
    aws(&["prune"], "ecs:ListTasks", On::Everything, OnRegistry(Ecr)),
    aws(&["prune"], "ecs:DescribeTasks", On::Everything, OnRegistry(Ecr)),
    // `restore` puts manifests back.
    aws(&["prune"], "ecr:PutImage", On::Repositories, With("restore")),
    aws(&["prune"], "ecr:GetLifecyclePolicy", On::Repositories, With("lifecycle")),
    aws(&["prune"], "ecr:PutLifecyclePolicy", On::Repositories, With("lifecycle")),
    aws(&["prune"], "ecr:StartLifecyclePolicyPreview", On::Repositories, With("lifecycle")),
    aws(&["prune"], "ecr:GetLifecyclePolicyPreview", On::Repositories, With("lifecycle")),
];

/// What commands need of the job's token. Reading a public repository needs nothing, and a workflow that names no
/// `contents` can read no private one: `contents: read` is therefore listed for whatever reads the repository.
pub const GITHUB: &[GithubNeed] = &[
    // Of a commit alone the pull request must be asked for.
    read("tags", "pull-requests", With("workflow_run")),
    read("resolve", "contents", Always),
    write("resolve", "actions", With("workflow")),
    read("build", "contents", Always),
    write("build", "packages", OnRegistry(Ghcr)),
    write("merge", "packages", OnRegistry(Ghcr)),
    read("pull", "packages", OnRegistry(Ghcr)),
    read("pull", "actions", With("artifact")),
    read("pull", "pull-requests", With("workflow_run")),
    read("scan", "packages", OnRegistry(Ghcr)),
    read("up", "packages", OnRegistry(Ghcr)),
    write("prune", "packages", OnRegistry(Ghcr)),
    read("prune", "actions", Always),
    read("prune", "contents", Always),
    read("prune", "pull-requests", Always),
    read("metrics", "actions", Always),
    read("metrics", "contents", Always),
    read("metrics", "packages", OnRegistry(Ghcr)),
    read("doctor", "contents", Always),
    read("route", "contents", Always),
    write("route", "pull-requests", Always),
    read("dashboard", "contents", Always),
    write("dashboard", "pull-requests", Always),
    // One status per stage: what keeps every update, however many jobs end at once.
    write("dashboard", "statuses", Always),
    write("report", "pull-requests", Always),
    write("terraform", "pull-requests", Always),
];

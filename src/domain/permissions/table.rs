//! Purpose: the table itself.

use super::Registry::{Ecr, Ghcr};
use super::Resource as On;
use super::When::{Always, On as OnRegistry, With};
use super::{Access, AwsNeed, GithubNeed, Resource, Shows, When};

const fn call(command: &'static str, action: &'static str, on: Resource, when: When) -> AwsNeed {
    AwsNeed { command, action, on, when, shows: Shows::Call }
}

const fn behind(command: &'static str, action: &'static str, on: Resource, when: When) -> AwsNeed {
    AwsNeed { command, action, on, when, shows: Shows::Behind }
}

const fn read(command: &'static str, scope: &'static str, when: When) -> GithubNeed {
    GithubNeed { command, scope, access: Access::Read, when }
}

const fn write(command: &'static str, scope: &'static str, when: When) -> GithubNeed {
    GithubNeed { command, scope, access: Access::Write, when }
}

/// What commands need on AWS. `sts:AssumeRoleWithWebIdentity` is not here: the role's trust policy grants it.
pub const AWS: &[AwsNeed] = &[
    call("config", "ssm:GetParameters", On::Parameters, With("ssm")),
    behind("config", "kms:Decrypt", On::Keys, With("ssm")),
    call("resolve", "ecr:DescribeImages", On::Repositories, OnRegistry(Ecr)),
    call("build", "ecr:GetAuthorizationToken", On::Everything, OnRegistry(Ecr)),
    call("build", "ecr:DescribeImages", On::Repositories, OnRegistry(Ecr)),
    behind("build", "ecr:BatchCheckLayerAvailability", On::Repositories, OnRegistry(Ecr)),
    behind("build", "ecr:BatchGetImage", On::Repositories, OnRegistry(Ecr)),
    behind("build", "ecr:CompleteLayerUpload", On::Repositories, OnRegistry(Ecr)),
    behind("build", "ecr:GetDownloadUrlForLayer", On::Repositories, OnRegistry(Ecr)),
    behind("build", "ecr:InitiateLayerUpload", On::Repositories, OnRegistry(Ecr)),
    behind("build", "ecr:PutImage", On::Repositories, OnRegistry(Ecr)),
    behind("build", "ecr:UploadLayerPart", On::Repositories, OnRegistry(Ecr)),
    call("merge", "ecr:GetAuthorizationToken", On::Everything, OnRegistry(Ecr)),
    behind("merge", "ecr:BatchCheckLayerAvailability", On::Repositories, OnRegistry(Ecr)),
    behind("merge", "ecr:BatchGetImage", On::Repositories, OnRegistry(Ecr)),
    behind("merge", "ecr:GetDownloadUrlForLayer", On::Repositories, OnRegistry(Ecr)),
    behind("merge", "ecr:PutImage", On::Repositories, OnRegistry(Ecr)),
    call("pull", "ecr:GetAuthorizationToken", On::Everything, OnRegistry(Ecr)),
    behind("pull", "ecr:BatchGetImage", On::Repositories, OnRegistry(Ecr)),
    behind("pull", "ecr:GetDownloadUrlForLayer", On::Repositories, OnRegistry(Ecr)),
    call("scan", "ecr:DescribeImages", On::Repositories, OnRegistry(Ecr)),
    call("scan", "ecr:DescribeImageScanFindings", On::Repositories, OnRegistry(Ecr)),
    call("up", "ecr:GetAuthorizationToken", On::Everything, OnRegistry(Ecr)),
    behind("up", "ecr:BatchGetImage", On::Repositories, OnRegistry(Ecr)),
    behind("up", "ecr:GetDownloadUrlForLayer", On::Repositories, OnRegistry(Ecr)),
    call("login", "ecr:GetAuthorizationToken", On::Everything, OnRegistry(Ecr)),
    // public.ecr.aws is named in `registries` only.
    call("login", "ecr-public:GetAuthorizationToken", On::Everything, With("registries")),
    behind("login", "sts:GetServiceBearerToken", On::Everything, With("registries")),
    call("metrics", "ecr:DescribeImages", On::Repositories, OnRegistry(Ecr)),
    call("deploy", "ecs:DescribeServices", On::Services, Always),
    call("deploy", "ecs:ListServiceDeployments", On::Services, Always),
    call("deploy", "ecs:DescribeServiceDeployments", On::ServiceDeployments, Always),
    call("deploy", "ecs:DescribeServiceRevisions", On::ServiceRevisions, Always),
    call("deploy", "ecs:DescribeTaskDefinition", On::Everything, Always),
    call("deploy", "ecs:RegisterTaskDefinition", On::TaskDefinitions, Always),
    behind("deploy", "ecs:TagResource", On::TaskDefinitions, Always),
    behind("deploy", "iam:PassRole", On::TaskRoles, Always),
    call("deploy", "ecs:UpdateService", On::Services, Always),
    call("deploy", "ecs:StopServiceDeployment", On::ServiceDeployments, Always),
    call("deploy", "ecs:ListTasks", On::InCluster, Always),
    call("deploy", "ecs:DescribeTasks", On::Tasks, Always),
    call("deploy", "logs:GetLogEvents", On::LogGroups, Always),
    call("deploy", "logs:DescribeLogGroups", On::Everything, Always),
    // Why a deployment failed: asked when it has a load balancer or alarms, and goes wrong.
    behind("deploy", "elasticloadbalancing:DescribeTargetHealth", On::Everything, Always),
    behind("deploy", "cloudwatch:DescribeAlarms", On::Everything, Always),
    call("deploy", "ecr:BatchGetImage", On::Repositories, OnRegistry(Ecr)),
    call("deploy", "ssm:GetParameters", On::Parameters, Always),
    call("deploy", "secretsmanager:DescribeSecret", On::Secrets, Always),
    call("deploy", "ecs:RunTask", On::TaskDefinitions, With("migrate")),
    call("deploy", "ecs:StopTask", On::Tasks, With("migrate")),
    call("deploy", "ecs:ListTaskDefinitions", On::Everything, With("keep_revisions")),
    call("deploy", "ecs:DeregisterTaskDefinition", On::Everything, With("keep_revisions")),
    // A revision may be in use in any cluster of the account.
    call("deploy", "ecs:ListClusters", On::Everything, With("keep_revisions")),
    call("deploy", "ecs:ListServices", On::Everything, With("keep_revisions")),
    call("deploy", "ecs:DescribeServices", On::Everything, With("keep_revisions")),
    call("deploy", "ecs:ListServiceDeployments", On::Everything, With("keep_revisions")),
    call("deploy", "ecs:DescribeServiceRevisions", On::Everything, With("keep_revisions")),
    call("deploy", "ecs:ListTasks", On::Everything, With("keep_revisions")),
    call("deploy", "ecs:DescribeTasks", On::Everything, With("keep_revisions")),
    call("deploy", "ssm:PutParameter", On::WrittenParameters, With("ssm_parameters")),
    call("rollback", "ecs:DescribeServices", On::Services, Always),
    call("rollback", "ecs:ListServiceDeployments", On::Services, Always),
    call("rollback", "ecs:DescribeServiceDeployments", On::ServiceDeployments, Always),
    call("rollback", "ecs:DescribeServiceRevisions", On::ServiceRevisions, Always),
    call("rollback", "ecs:DescribeTaskDefinition", On::Everything, Always),
    call("rollback", "ecs:ListTaskDefinitions", On::Everything, Always),
    behind("rollback", "iam:PassRole", On::TaskRoles, Always),
    call("rollback", "ecs:UpdateService", On::Services, Always),
    call("rollback", "ecs:StopServiceDeployment", On::ServiceDeployments, Always),
    call("rollback", "ecs:ListTasks", On::InCluster, Always),
    call("rollback", "ecs:DescribeTasks", On::Tasks, Always),
    call("rollback", "logs:GetLogEvents", On::LogGroups, Always),
    behind("rollback", "elasticloadbalancing:DescribeTargetHealth", On::Everything, Always),
    behind("rollback", "cloudwatch:DescribeAlarms", On::Everything, Always),
    call("rollback", "ecr:BatchGetImage", On::Repositories, OnRegistry(Ecr)),
    call("prune", "ecr:DescribeImages", On::Repositories, OnRegistry(Ecr)),
    call("prune", "ecr:BatchGetImage", On::Repositories, OnRegistry(Ecr)),
    call("prune", "ecr:BatchDeleteImage", On::Repositories, OnRegistry(Ecr)),
    // What runs anywhere in the account keeps its image.
    call("prune", "ecs:ListClusters", On::Everything, OnRegistry(Ecr)),
    call("prune", "ecs:ListServices", On::Everything, OnRegistry(Ecr)),
    call("prune", "ecs:DescribeServices", On::Everything, OnRegistry(Ecr)),
    call("prune", "ecs:DescribeTaskDefinition", On::Everything, OnRegistry(Ecr)),
    call("prune", "ecs:ListTasks", On::Everything, OnRegistry(Ecr)),
    call("prune", "ecs:DescribeTasks", On::Everything, OnRegistry(Ecr)),
    // `restore` puts manifests back.
    call("prune", "ecr:PutImage", On::Repositories, With("restore")),
    call("prune", "ecr:GetLifecyclePolicy", On::Repositories, With("lifecycle")),
    call("prune", "ecr:PutLifecyclePolicy", On::Repositories, With("lifecycle")),
    call("prune", "ecr:StartLifecyclePolicyPreview", On::Repositories, With("lifecycle")),
    call("prune", "ecr:GetLifecyclePolicyPreview", On::Repositories, With("lifecycle")),
];

/// What commands need of the job's token. Reading a public repository needs nothing, and a workflow that names no
/// `contents` can read no private one: `contents: read` is therefore listed for whatever reads the repository.
pub const GITHUB: &[GithubNeed] = &[
    read("resolve", "contents", Always),
    write("resolve", "actions", With("workflow")),
    read("build", "contents", Always),
    write("build", "packages", OnRegistry(Ghcr)),
    write("merge", "packages", OnRegistry(Ghcr)),
    read("pull", "packages", OnRegistry(Ghcr)),
    read("pull", "actions", With("artifact")),
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
    write("report", "pull-requests", Always),
];

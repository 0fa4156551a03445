//! Purpose: what `login` takes and gives, described once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::values::{Flag, List, Secret};

/// Inputs of `login`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// Registries to log in to, by host. `ecr` means the account's own ECR registry in the region, twelve digits that
    /// of another account, `public.ecr.aws` the public one. Default: none.
    pub registries: Option<List>,
    /// Give later steps the AWS variables and a `DOCKER_CONFIG`. Default: false.
    pub export: Option<Flag>,
    /// Assume the role with the credentials of the environment (true) or with the job's OIDC token (false). Default:
    /// with the environment's keys when it has some, else with the token.
    pub role_chaining: Option<Flag>,
    /// Further roles to assume, each with the credentials of the one before.
    pub chained_roles: Option<List>,
    /// External id that the role's trust policy asks for; not for OIDC, which knows none.
    pub role_external_id: Option<String>,
    /// Policy, as JSON, that the session may do no more than.
    pub inline_session_policy: Option<String>,
    /// ARNs of managed policies that the session may do no more than.
    pub managed_session_policies: Option<List>,
    /// Audience of the OIDC token. Default: sts.amazonaws.com.
    pub audience: Option<String>,
    /// Access key id, instead of a role or to assume it with.
    pub aws_access_key_id: Option<Secret>,
    /// Secret access key.
    pub aws_secret_access_key: Option<Secret>,
    /// Session token of the keys, if they are those of a session.
    pub aws_session_token: Option<Secret>,
}

/// Outputs of `login`. None of them is a secret: secrets reach later steps as variables only.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// Account of the credentials.
    pub aws_account_id: Option<String>,
    /// Region of the credentials.
    pub aws_region: Option<String>,
    /// ARN of the identity that the credentials are.
    pub caller_arn: Option<String>,
    /// When the AWS credentials end, in UTC; absent when they do not.
    pub expiration: Option<String>,
    /// Host of the account's own ECR registry, else of the first registry that was logged in to.
    pub registry: Option<String>,
    /// Hosts of all registries that were logged in to, one per line.
    pub registries: Option<Vec<String>>,
    /// Folder of the docker configuration with the logins: the value of `DOCKER_CONFIG` for a step that shall have them.
    pub docker_config: Option<String>,
}

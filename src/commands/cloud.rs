//! Purpose: from the cloud inputs of a run to a session with AWS.

use std::time::Duration;

use super::run::Run;
use super::shared::Cloud;
use crate::runner::Failure;
use crate::services::aws::{OidcEndpoint, RoleRequest, Session, SessionOptions};

/// Name of the role session unless given.
const SESSION_NAME: &str = "landfall";
/// Life of the role session unless given: the role's own maximum is at least that (IAM, "MaxSessionDuration").
const SESSION_LIFE: Duration = Duration::from_secs(3600);

/// Opens the session that the cloud inputs describe.
///
/// # Errors
/// Exit code 2 when region or role are incomplete, 5 when the credentials are refused or of another account.
pub(crate) async fn session(run: &Run) -> Result<Session, Failure> {
    Ok(Session::connect(options(run)).await?)
}

/// What a session is made of, for whoever may not need one after all.
pub(crate) fn options(run: &Run) -> SessionOptions {
    options_of(run, &run.cloud)
}

/// The same with other cloud inputs than the run's own.
pub(crate) fn options_of(run: &Run, cloud: &Cloud) -> SessionOptions {
    let role = cloud.role_to_assume.as_ref().map(|role| RoleRequest {
        role: role.clone(),
        session_name: cloud.role_session_name.clone().unwrap_or_else(|| SESSION_NAME.to_owned()),
        duration: cloud.role_duration.map_or(SESSION_LIFE, |life| life.0),
    });
    let has_static_keys = run.variable("AWS_ACCESS_KEY_ID").is_some();
    let endpoint = run.oidc.as_ref().map(|oidc| OidcEndpoint { url: oidc.url.clone(), token: oidc.token.clone() });
    SessionOptions {
        region: cloud.aws_region.clone(),
        account: account_of_environment(run),
        role,
        oidc: endpoint.filter(|_| !has_static_keys),
        allowed_account_ids: cloud.allowed_account_ids.clone().map(|ids| ids.0).unwrap_or_default(),
        secrets: run.secret_observer(),
    }
}

/// `aws_account_id` of the environment: it completes a role that is given by its name.
fn account_of_environment(run: &Run) -> Option<String> {
    let section = run.config.environment(run.common.environment.as_deref()?).ok()?;
    section.settings.get("aws_account_id").map(|account| account.as_str().to_owned())
}

//! Purpose: from the cloud inputs of a run to a session with AWS.

use std::time::Duration;

use super::run::Run;
use super::shared::Cloud;
use crate::contract::values::Span;
use crate::runner::{Failure, Problems};
use crate::services::aws::{OidcEndpoint, RoleRequest, Session, SessionOptions};

/// Name of the role session unless given.
const SESSION_NAME: &str = "landfall";
/// Life of the role session unless given: the role's own maximum is at least that (IAM, "MaxSessionDuration").
const SESSION_LIFE: Duration = Duration::from_secs(3600);
/// Shortest and longest life that STS grants (STS API reference, `DurationSeconds`).
const LIVES: std::ops::RangeInclusive<Duration> = Duration::from_secs(15 * 60)..=Duration::from_secs(12 * 3600);

/// Opens the session that the cloud inputs describe.
///
/// # Errors
/// Exit code 2 when the inputs cannot be right, 5 when the credentials are refused or of another account.
pub(crate) async fn session(run: &Run) -> Result<Session, Failure> {
    let mut problems = Problems::default();
    check(&run.cloud, &mut problems);
    problems.into_result()?;
    Ok(Session::connect(options(run)).await?)
}

/// What can be known to be wrong without asking AWS.
pub(crate) fn check(cloud: &Cloud, problems: &mut Problems) {
    if let Some(region) = &cloud.aws_region
        && !is_region(region)
    {
        problems.add("aws_region", format!("is '{region}', which is no region; write for example eu-central-1"));
    }
    if let Some(role) = &cloud.role_to_assume {
        check_role("role_to_assume", role, problems);
    }
    if let Some(name) = &cloud.role_session_name
        && !is_session_name(name)
    {
        problems
            .add("role_session_name", format!("is '{name}'; use 2 to 64 letters, digits and the characters _+=,.@-"));
    }
    if let Some(Span(life)) = cloud.role_duration
        && !LIVES.contains(&life)
    {
        problems.add("role_duration", format!("is {}; STS grants between 15m and 12h", Span(life)));
    }
    for account in cloud.allowed_account_ids.iter().flat_map(|list| &list.0) {
        if !is_account(account) {
            problems
                .add("allowed_account_ids", format!("has '{account}', which is no account; write its twelve digits"));
        }
    }
}

/// A role, by ARN or name.
pub(crate) fn check_role(subject: &str, role: &str, problems: &mut Problems) {
    let name = if role.starts_with("arn:") { role.split_once(":role/").map(|(_, name)| name) } else { Some(role) };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-/".contains(c);
    if !name.is_some_and(|name| !name.is_empty() && name.chars().all(allowed)) {
        problems.add(subject, format!("is '{role}', which is no role; write arn:aws:iam::<account>:role/<name>"));
    }
}

/// Twelve digits.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.chars().all(|c| c.is_ascii_digit())
}

fn is_region(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// STS API reference, `RoleSessionName`.
fn is_session_name(name: &str) -> bool {
    (2..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c))
}

/// What a session is made of, for whoever may not need one after all.
pub(crate) fn options(run: &Run) -> SessionOptions {
    options_of(run, &run.cloud)
}

/// The same with other cloud inputs than the run's own.
pub(crate) fn options_of(run: &Run, cloud: &Cloud) -> SessionOptions {
    let role = cloud.role_to_assume.as_ref().map(|role| role_request(cloud, role));
    let has_static_keys = run.variable("AWS_ACCESS_KEY_ID").is_some();
    let oidc = role.as_ref().and_then(|_| oidc(run)).filter(|_| !has_static_keys);
    SessionOptions {
        region: cloud.aws_region.clone(),
        account: account_of_environment(run),
        role,
        oidc,
        keys: None,
        chained: Vec::new(),
        allowed_account_ids: cloud.allowed_account_ids.clone().map(|ids| ids.0).unwrap_or_default(),
        secrets: run.secret_observer(),
    }
}

/// A role under the name and for the time that the inputs say.
pub(crate) fn role_request(cloud: &Cloud, role: &str) -> RoleRequest {
    RoleRequest {
        role: role.to_owned(),
        session_name: cloud.role_session_name.clone().unwrap_or_else(|| SESSION_NAME.to_owned()),
        duration: cloud.role_duration.map_or(SESSION_LIFE, |life| life.0),
        ..RoleRequest::default()
    }
}

/// Where the job gets its token, if it may have one.
pub(crate) fn oidc(run: &Run) -> Option<OidcEndpoint> {
    let oidc = run.oidc.as_ref()?;
    Some(OidcEndpoint { url: oidc.url.clone(), token: oidc.token.clone(), audience: None })
}

/// `aws_account_id` of the environment: it completes a role that is given by its name.
fn account_of_environment(run: &Run) -> Option<String> {
    let section = run.config.environment(run.common.environment.as_deref()?).ok()?;
    section.settings.get("aws_account_id").map(|account| account.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::values::List;

    fn problems(cloud: &Cloud) -> String {
        let mut problems = Problems::default();
        check(cloud, &mut problems);
        problems.into_result().map_or_else(|failure| failure.message, |()| String::new())
    }

    #[test]
    fn what_sts_would_refuse_is_refused_before() {
        let right = Cloud {
            aws_region: Some("us-gov-west-1".into()),
            role_to_assume: Some("arn:aws-cn:iam::123456789012:role/path/deploy".into()),
            role_session_name: Some("run-42@acme".into()),
            role_duration: Some(Span(Duration::from_secs(900))),
            allowed_account_ids: Some(List(vec!["123456789012".into()])),
        };
        assert_eq!(problems(&right), "");
        assert_eq!(problems(&Cloud { role_to_assume: Some("deploy".into()), ..Cloud::default() }), "");
        let wrong = [
            Cloud { aws_region: Some("Frankfurt".into()), ..Cloud::default() },
            Cloud { role_to_assume: Some("arn:aws:iam::123456789012:user/me".into()), ..Cloud::default() },
            Cloud { role_to_assume: Some("arn:aws:iam::123456789012:role/".into()), ..Cloud::default() },
            Cloud { role_session_name: Some("a b".into()), ..Cloud::default() },
            Cloud { role_session_name: Some("a".into()), ..Cloud::default() },
            Cloud { role_duration: Some(Span(Duration::from_secs(899))), ..Cloud::default() },
            Cloud { role_duration: Some(Span(Duration::from_secs(43_201))), ..Cloud::default() },
            Cloud { allowed_account_ids: Some(List(vec!["1234-5678-9012".into()])), ..Cloud::default() },
        ];
        for cloud in wrong {
            assert_ne!(problems(&cloud), "", "{cloud:?}");
        }
    }
}

//! Purpose: what an error of AWS means to a person: what to allow, what to set.

use super::kind_of;
use crate::runner::{Failure, Kind};
use crate::services::aws::AwsError;
use crate::services::aws::error::Refusal;
use crate::services::aws::role::{Claims, RoleError};
use crate::services::{Classified as _, ErrorClass};

/// Where the trust of GitHub's tokens is documented.
const TRUST_GUIDE: &str =
    "https://docs.github.com/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws";

impl From<AwsError> for Failure {
    fn from(error: AwsError) -> Self {
        let class = error.class();
        let (kind, reason, title) = match &error {
            AwsError::NoRegion => (Kind::Input, "aws-region-missing", "No AWS region"),
            AwsError::IncompleteRole(_) => (Kind::Input, "invalid-input", "Invalid input"),
            AwsError::ForeignAccount { .. } => (Kind::Auth, "aws-account-refused", "Wrong AWS account"),
            AwsError::NoCredentials | AwsError::BadCredentials(_) => {
                (Kind::Auth, "aws-unauthenticated", "No AWS credentials")
            }
            AwsError::Role(_) => (kind_of(class), role_reason(class), "AWS role not assumed"),
            AwsError::Refused(_) => (kind_of(class), reason!("aws", class), title_of(class)),
            AwsError::Unanswered { .. } | AwsError::Malformed { .. } => {
                (kind_of(class), reason!("aws", class), "AWS unavailable")
            }
        };
        let hints = hints(&error);
        let mut failure = Self::new(kind, reason, title, error.to_string());
        failure.hints = hints;
        match std::error::Error::source(&error) {
            Some(_) => failure.caused_by(Cause(error)),
            None => failure,
        }
    }
}

/// The causes of an error whose own words are the failure's message already.
#[derive(Debug)]
struct Cause(AwsError);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

fn role_reason(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::RateLimited | ErrorClass::Unavailable => "aws-unavailable",
        _ => "aws-role-refused",
    }
}

fn title_of(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Forbidden => "AWS denied access",
        ErrorClass::Unauthenticated => "AWS credentials refused",
        ErrorClass::NotFound => "Not found in AWS",
        ErrorClass::RateLimited | ErrorClass::Unavailable => "AWS unavailable",
        ErrorClass::Invalid | ErrorClass::Failed => "Refused by AWS",
    }
}

fn hints(error: &AwsError) -> Vec<String> {
    match error {
        AwsError::NoRegion => vec!["Set `aws_region`, or the variable AWS_REGION.".to_owned()],
        AwsError::IncompleteRole(_) => {
            vec!["Give the role's ARN, or set `aws_account_id` in the environment of the config.".to_owned()]
        }
        AwsError::ForeignAccount { .. } => {
            vec!["Check `role_to_assume` or the keys, and `allowed_account_ids`.".to_owned()]
        }
        AwsError::NoCredentials | AwsError::BadCredentials(_) => no_credentials(),
        AwsError::Role(shared) => role_hints(&shared.0),
        AwsError::Refused(refusal) => refusal_hints(refusal, error.class()),
        AwsError::Unanswered { .. } | AwsError::Malformed { .. } => {
            vec!["Try again later; https://health.aws.amazon.com shows the state of AWS.".to_owned()]
        }
    }
}

fn no_credentials() -> Vec<String> {
    vec![
        "Set `role_to_assume` and give the job the permission `id-token: write`.".to_owned(),
        "Or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for example by a login step before this one.".to_owned(),
    ]
}

fn role_hints(error: &RoleError) -> Vec<String> {
    match error {
        RoleError::Token(_) => {
            vec!["Give the job `permissions: id-token: write`; jobs of forks never get it.".to_owned()]
        }
        RoleError::Unanswered { .. } => vec!["Try again later.".to_owned()],
        RoleError::Refused { source: AwsError::Refused(refusal), .. } if is_skewed(refusal) => {
            vec![CLOCK_HINT.to_owned()]
        }
        RoleError::Refused { source, .. } if let Some(hint) = request_hint(source) => vec![hint.to_owned()],
        RoleError::Refused { claims: Some(claims), .. } => trust_hints(claims),
        RoleError::Refused { source: AwsError::NoCredentials, .. } => no_credentials(),
        RoleError::Refused { role, .. } => {
            vec![format!(
                "The credentials of this job must be allowed `sts:AssumeRole` on {role}, and the role's trust policy must name them."
            )]
        }
    }
}

/// What to change about the request itself, when that is what STS refuses (STS API reference, "Errors").
fn request_hint(error: &AwsError) -> Option<&'static str> {
    let (code, message) = (error.code()?, error.message().unwrap_or_default());
    Some(match code {
        "PackedPolicyTooLarge" => "Shorten the session policies, or use managed ones: STS counts them together.",
        "MalformedPolicyDocument" => "Correct `inline_session_policy`: STS does not read it as a policy.",
        "ValidationError" if message.contains("1 hour session limit") || message.contains("role chaining") => {
            "Set `role_duration` to 1h: STS grants no more to whoever is a role already."
        }
        "ValidationError" if message.contains("MaxSessionDuration") => {
            "Lower `role_duration`, or raise the role's maximum session duration."
        }
        "InvalidIdentityToken" if message.contains("audience") => {
            "Set `audience` to what the role and the account's OIDC provider expect; AWS's usual one is sts.amazonaws.com."
        }
        _ => return None,
    })
}

/// The token as the trust policy sees it, and the condition that would admit it.
fn trust_hints(claims: &Claims) -> Vec<String> {
    let Claims { sub, aud, iss } = claims;
    let provider = iss.trim_start_matches("https://");
    vec![
        format!(
            "The token says sub={sub} aud={aud} iss={iss}. To admit it, the role's trust policy must allow \
             sts:AssumeRoleWithWebIdentity to the provider {provider} under the condition {{\"StringEquals\": \
             {{\"{provider}:aud\": \"{aud}\", \"{provider}:sub\": \"{sub}\"}}}}."
        ),
        format!("The account of the role needs an OIDC provider for {iss}: {TRUST_GUIDE}"),
    ]
}

fn refusal_hints(refusal: &Refusal, class: ErrorClass) -> Vec<String> {
    match class {
        ErrorClass::Forbidden => vec![allow_hint(refusal)],
        ErrorClass::Unauthenticated if refusal.code.starts_with("ExpiredToken") || refusal.code == "RequestExpired" => {
            vec!["The session has ended. With `role_to_assume` Landfall renews it by itself; sessions of earlier steps it cannot renew.".to_owned()]
        }
        ErrorClass::Unauthenticated if is_skewed(refusal) => vec![CLOCK_HINT.to_owned()],
        ErrorClass::Unauthenticated => {
            vec!["Check the keys, and that AWS_SESSION_TOKEN belongs to them.".to_owned()]
        }
        ErrorClass::RateLimited | ErrorClass::Unavailable => {
            vec!["Try again later; https://health.aws.amazon.com shows the state of AWS.".to_owned()]
        }
        ErrorClass::NotFound => vec!["Check the name, the region and the account.".to_owned()],
        ErrorClass::Invalid | ErrorClass::Failed => {
            vec![
                "AWS's own words say what it does not take; if something else changed at the same time, run again."
                    .to_owned(),
            ]
        }
    }
}

/// What helps when our clock and AWS's differ.
const CLOCK_HINT: &str = "The clock of this machine and AWS's differ by more than five minutes: set it, and let it be kept right (chrony, \
                          systemd-timesyncd); on a virtual machine the host's clock counts.";

/// Whether the signature's time was refused (IAM user guide, "Troubleshoot Signature Version 4").
fn is_skewed(refusal: &Refusal) -> bool {
    let said = &refusal.message;
    refusal.code == "RequestTimeTooSkewed"
        || said.contains("Signature expired")
        || said.contains("Signature not yet current")
}

/// AWS names the missing action in its words (`… is not authorized to perform: iam:PassRole on resource: …`); it need
/// not be the action of the request.
fn allow_hint(refusal: &Refusal) -> String {
    let named = refusal.message.split_once("perform: ").map(|(_, rest)| rest);
    let action =
        named.and_then(|rest| rest.split_whitespace().next()).map_or_else(|| refusal.call.action(), str::to_owned);
    let resource = named
        .and_then(|rest| rest.split_once("on resource: "))
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .map(|resource| format!(" on {resource}"))
        .unwrap_or_default();
    format!("Allow `{action}`{resource} in the policy of the role that this job uses.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::aws::Call;
    use crate::services::aws::role::SharedRoleError;

    fn refused(code: &str, message: &str) -> AwsError {
        let refusal = Refusal {
            call: Call::new("ecs", "RegisterTaskDefinition", "family web"),
            code: code.to_owned(),
            message: message.to_owned(),
            status: 400,
            retry_after: None,
        };
        AwsError::Refused(Box::new(refusal))
    }

    #[test]
    fn a_denial_names_the_action_that_is_missing_and_not_the_one_that_was_asked() {
        let message = "User: arn:aws:sts::1:assumed-role/d/landfall is not authorized to perform: iam:PassRole on resource: \
                       arn:aws:iam::1:role/exec because no identity-based policy allows the iam:PassRole action";
        let failure = Failure::from(refused("AccessDeniedException", message));
        assert_eq!((failure.kind, failure.reason), (Kind::Auth, "aws-forbidden"));
        assert_eq!(
            failure.hints,
            ["Allow `iam:PassRole` on arn:aws:iam::1:role/exec in the policy of the role that this job uses."]
        );
        let failure = Failure::from(refused("AccessDeniedException", ""));
        assert!(failure.hints[0].contains("`ecs:RegisterTaskDefinition`"));
    }

    #[test]
    fn a_refused_token_shows_what_would_admit_it() {
        let claims = Claims {
            sub: "repo:acme/shop:environment:production".into(),
            aud: "sts.amazonaws.com".into(),
            iss: "https://token.actions.githubusercontent.com".into(),
        };
        let source = refused("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity");
        let error = RoleError::Refused { role: "arn:aws:iam::1:role/d".into(), claims: Some(claims), source };
        let failure = Failure::from(AwsError::Role(SharedRoleError(std::sync::Arc::new(error))));
        assert_eq!((failure.kind.exit_code(), failure.reason), (5, "aws-role-refused"));
        assert!(failure.explained().contains("Not authorized to perform"), "{}", failure.explained());
        insta::assert_snapshot!(failure.hints.join("\n"));
    }

    #[test]
    fn the_message_is_said_once() {
        let error = AwsError::Unanswered {
            call: Call::new("ecs", "UpdateService", "service web"),
            unsent: true,
            source: "connection refused".into(),
        };
        let failure = Failure::from(error);
        assert_eq!(failure.explained(), "ecs:UpdateService on service web got no answer: connection refused");
        assert_eq!((failure.kind.exit_code(), failure.reason), (4, "aws-unavailable"));
    }
}

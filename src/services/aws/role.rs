//! Purpose: a role assumed with GitHub's OIDC token, a fresh one for every try.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::types::PolicyDescriptorType;
use base64::Engine as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::error::{AwsError, Call};
use crate::services::asking::asking;
use crate::services::http::{self, HttpError, Repeat, RetryPolicy};
use crate::services::{Classified, ErrorClass, SecretObserver};

/// The audience that AWS expects of a GitHub token (aws-actions/configure-aws-credentials, input `audience`).
const AUDIENCE: &str = "sts.amazonaws.com";

/// Where the runner issues OIDC tokens: `ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
#[derive(Debug, Clone)]
pub struct OidcEndpoint {
    /// Address, with a query string of its own.
    pub url: String,
    /// Bearer token for that address.
    pub token: SecretString,
    /// The audience to ask for; AWS's usual one when absent.
    pub audience: Option<String>,
}

/// Which role to assume, and how long for.
#[derive(Debug, Clone, Default)]
pub struct RoleRequest {
    /// ARN of the role, or its name when a single allowed account completes it.
    pub role: String,
    /// Session name, as CloudTrail shows it.
    pub session_name: String,
    /// Life of the session.
    pub duration: Duration,
    /// What the role's trust policy asks for as `sts:ExternalId`; `AssumeRole` alone knows it.
    pub external_id: Option<String>,
    /// A policy, as JSON, that the session may do no more than.
    pub policy: Option<String>,
    /// ARNs of managed policies that the session may do no more than.
    pub policy_arns: Vec<String>,
}

/// What a token says of itself; shown when it is refused, because the trust policy is written against it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Claims {
    /// Subject: `repo:acme/shop:ref:refs/heads/main`.
    pub sub: String,
    /// Audience.
    #[serde(deserialize_with = "one_or_many")]
    pub aud: String,
    /// Issuer: `https://token.actions.githubusercontent.com`.
    pub iss: String,
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many(Vec<String>),
    }
    Ok(match <Audience as serde::Deserialize>::deserialize(deserializer)? {
        Audience::One(text) => text,
        Audience::Many(list) => list.join(" "),
    })
}

impl Claims {
    /// Reads the claims of a JWT without judging its signature: STS does that.
    #[must_use]
    pub fn of_jwt(jwt: &str) -> Option<Self> {
        let payload = jwt.split('.').nth(1)?;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

/// Why a role could not be assumed.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// GitHub did not hand out a token.
    #[error("GitHub issued no OIDC token for this job")]
    Token(#[source] HttpError),
    /// STS said no to the token or to the role.
    #[error("role {role} could not be assumed")]
    Refused {
        /// ARN of the role.
        role: String,
        /// What the refused token said of itself.
        claims: Option<Claims>,
        /// STS's answer.
        #[source]
        source: AwsError,
    },
    /// STS could not be asked.
    #[error("role {role} could not be assumed")]
    Unanswered {
        /// ARN of the role.
        role: String,
        /// What happened instead of an answer.
        #[source]
        source: AwsError,
    },
}

impl Classified for RoleError {
    fn class(&self) -> ErrorClass {
        match self {
            // A refused token request means a job without `id-token: write`.
            Self::Token(source) => match source.class() {
                ErrorClass::NotFound | ErrorClass::Invalid => ErrorClass::Unauthenticated,
                class => class,
            },
            Self::Refused { source, .. } => match source.class() {
                ErrorClass::Invalid | ErrorClass::NotFound => ErrorClass::Forbidden,
                class => class,
            },
            Self::Unanswered { source, .. } => source.class(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Token(source) => source.retry_after(),
            Self::Refused { source, .. } | Self::Unanswered { source, .. } => source.retry_after(),
        }
    }

    fn had_no_effect(&self) -> bool {
        true
    }
}

/// A [`RoleError`] that can be found again below the SDK's own errors.
#[derive(Debug, Clone)]
pub struct SharedRoleError(pub Arc<RoleError>);

impl fmt::Display for SharedRoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for SharedRoleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl SharedRoleError {
    /// The class of the error.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.0.class()
    }
}

impl From<RoleError> for CredentialsError {
    fn from(error: RoleError) -> Self {
        Self::provider_error(SharedRoleError(Arc::new(error)))
    }
}

/// Assumes one role: with GitHub's token, or with the credentials that the STS client was made with.
pub(super) struct AssumedRole {
    pub(super) request: RoleRequest,
    pub(super) oidc: Option<OidcEndpoint>,
    pub(super) sts: aws_sdk_sts::Client,
    pub(super) http: reqwest::Client,
    pub(super) secrets: SecretObserver,
    pub(super) policy: RetryPolicy,
}

impl AssumedRole {
    /// New credentials; transient failures are retried, each time with a fresh token, refusals are not.
    pub(super) async fn assume(&self) -> Result<Credentials, RoleError> {
        self.policy.run(Repeat::Always, || self.try_once()).await
    }

    async fn try_once(&self) -> Result<Credentials, RoleError> {
        let (issued, jwt) = match &self.oidc {
            Some(endpoint) => {
                let jwt = self.token(endpoint).await.map_err(RoleError::Token)?;
                (self.with_token(&jwt).await, Some(jwt))
            }
            None => (self.with_own_credentials().await, None),
        };
        issued.and_then(usable).map_err(|source| self.failed(source, jwt.as_ref()))
    }

    async fn with_token(&self, jwt: &SecretString) -> Result<Issued, AwsError> {
        let call = self.call("AssumeRoleWithWebIdentity");
        let _asking = asking(&call);
        let operation = self.sts.assume_role_with_web_identity();
        let answer = operation
            .role_arn(&self.request.role)
            .role_session_name(&self.request.session_name)
            .duration_seconds(self.seconds())
            .set_policy(self.request.policy.clone())
            .set_policy_arns(self.policy_arns())
            .web_identity_token(jwt.expose_secret())
            .send()
            .await
            .map_err(|error| AwsError::of_sdk(&call, error))?;
        answer.credentials.ok_or(AwsError::Malformed { call, expected: "credentials" })
    }

    async fn with_own_credentials(&self) -> Result<Issued, AwsError> {
        let call = self.call("AssumeRole");
        let _asking = asking(&call);
        let operation = self.sts.assume_role();
        let answer = operation
            .role_arn(&self.request.role)
            .role_session_name(&self.request.session_name)
            .duration_seconds(self.seconds())
            .set_external_id(self.request.external_id.clone())
            .set_policy(self.request.policy.clone())
            .set_policy_arns(self.policy_arns())
            .send()
            .await
            .map_err(|error| AwsError::of_sdk(&call, error))?;
        answer.credentials.ok_or(AwsError::Malformed { call, expected: "credentials" })
    }

    fn call(&self, operation: &'static str) -> Call {
        Call::new("sts", operation, format!("role {}", self.request.role))
    }

    fn policy_arns(&self) -> Option<Vec<PolicyDescriptorType>> {
        let arns = self.request.policy_arns.iter().map(|arn| PolicyDescriptorType::builder().arn(arn).build());
        Some(arns.collect()).filter(|arns: &Vec<_>| !arns.is_empty())
    }

    fn seconds(&self) -> i32 {
        i32::try_from(self.request.duration.as_secs()).unwrap_or(i32::MAX)
    }

    fn failed(&self, source: AwsError, jwt: Option<&SecretString>) -> RoleError {
        let role = self.request.role.clone();
        if source.class().is_transient() {
            return RoleError::Unanswered { role, source };
        }
        RoleError::Refused { role, claims: jwt.and_then(|jwt| Claims::of_jwt(jwt.expose_secret())), source }
    }

    /// One token (GitHub documentation, "OpenID Connect reference"; the address already carries a query string).
    async fn token(&self, endpoint: &OidcEndpoint) -> Result<SecretString, HttpError> {
        #[derive(serde::Deserialize)]
        struct Answer {
            value: SecretString,
        }
        let mut url = url::Url::parse(&endpoint.url)
            .map_err(|_| HttpError::Malformed { target: "ACTIONS_ID_TOKEN_REQUEST_URL".into(), expected: "a URL" })?;
        url.query_pairs_mut().append_pair("audience", endpoint.audience.as_deref().unwrap_or(AUDIENCE));
        let target = http::shown(&url);
        let _asking = asking(format_args!("GitHub's OIDC token service at {target}"));
        let request = self.http.get(url).bearer_auth(endpoint.token.expose_secret());
        let answer = http::send(request).await?.json::<Answer>().await;
        let answer = answer
            .map_err(|_| HttpError::Malformed { target, expected: "a JSON object with the token as its 'value'" })?;
        (self.secrets)(&answer.value);
        Ok(answer.value)
    }
}

type Issued = aws_sdk_sts::types::Credentials;

fn usable(issued: Issued) -> Result<Credentials, AwsError> {
    let call = || Call::new("sts", "AssumeRole", "the issued credentials");
    let expiry = std::time::SystemTime::try_from(issued.expiration)
        .map_err(|_| AwsError::Malformed { call: call(), expected: "a usable expiration" })?;
    Ok(Credentials::new(
        issued.access_key_id,
        issued.secret_access_key,
        Some(issued.session_token),
        Some(expiry),
        "assumed-role",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(payload: &str) -> String {
        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.c2ln", encode("{\"alg\":\"RS256\"}"), encode(payload))
    }

    #[test]
    fn reads_what_a_trust_policy_is_written_against() {
        let one = Claims::of_jwt(&jwt(
            r#"{"sub":"repo:acme/shop:environment:production","aud":"sts.amazonaws.com","iss":"https://x"}"#,
        ));
        assert_eq!(one.unwrap().sub, "repo:acme/shop:environment:production");
        let many = Claims::of_jwt(&jwt(r#"{"aud":["a","b"]}"#)).unwrap();
        assert_eq!((many.aud.as_str(), many.sub.as_str()), ("a b", ""));
        assert_eq!(Claims::of_jwt("not a token"), None);
    }
}

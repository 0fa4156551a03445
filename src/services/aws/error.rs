//! Purpose: what can go wrong with a request to AWS, classed by the service's own error code.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::role::SharedRoleError;
use crate::services::http::HttpError;
use crate::services::{Classified, ErrorClass};

/// One request, named as IAM names it, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// IAM prefix of the service: `ecs`, `logs`, `ssm`.
    pub service: &'static str,
    /// Operation: `UpdateService`.
    pub operation: &'static str,
    /// The object: `service web in cluster prod`.
    pub object: String,
}

impl Call {
    /// Names a call.
    pub fn new(service: &'static str, operation: &'static str, object: impl Into<String>) -> Self {
        Self { service, operation, object: object.into() }
    }

    /// The IAM action that allows the call.
    #[must_use]
    pub fn action(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} on {}", self.service, self.operation, self.object)
    }
}

/// An answer that refuses.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The request.
    pub call: Call,
    /// The service's error code (`AccessDeniedException`), or `HTTP <status>` when it gave none.
    pub code: String,
    /// The service's own words, one line.
    pub message: String,
    /// HTTP status.
    pub status: u16,
    /// Wait asked for by `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// A request to AWS, or the way to credentials for it, that failed.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// Neither the input nor the SDK's own sources name a region.
    #[error("no AWS region is set")]
    NoRegion,
    /// No source of the SDK's default chain has credentials.
    #[error("no AWS credentials were found")]
    NoCredentials,
    /// Credentials exist in some source and cannot be used or fetched.
    #[error("the AWS credentials could not be loaded")]
    BadCredentials(#[source] Box<dyn StdError + Send + Sync>),
    /// The role could not be assumed.
    #[error(transparent)]
    Role(SharedRoleError),
    /// A role was given by name and no account completes it to an ARN.
    #[error("role '{0}' is not an ARN, and no account is known that would complete it")]
    IncompleteRole(String),
    /// The credentials belong to an account that is not allowed.
    #[error("the credentials belong to account {account}, which is not among the allowed accounts ({})", .allowed.join(", "))]
    ForeignAccount {
        /// The account that the credentials belong to.
        account: String,
        /// The accounts that the input allows.
        allowed: Vec<String>,
    },
    /// The service answered and said no.
    #[error("{} was refused ({}){}", .0.call, .0.code, detail(&.0.message))]
    Refused(Box<Refusal>),
    /// No answer: the connection failed or a timeout passed.
    #[error("{call} got no answer")]
    Unanswered {
        /// The request.
        call: Call,
        /// Whether the request provably never reached the service.
        unsent: bool,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A success whose content is not what the service promises.
    #[error("{call} answered without {expected}")]
    Malformed {
        /// The request.
        call: Call,
        /// What the service promises.
        expected: &'static str,
    },
}

fn detail(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl AwsError {
    /// Converts an error of an SDK operation.
    pub fn of_sdk<E>(call: &Call, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        if let Some(error) = of_credentials(&error) {
            return error;
        }
        if let Some(raw) = error.raw_response() {
            let metadata = error.as_service_error().map(ProvideErrorMetadata::meta);
            let status = raw.status().as_u16();
            let retry_after = raw.headers().get("retry-after").and_then(seconds);
            let code = metadata.and_then(|meta| meta.code());
            let message = metadata.and_then(|meta| meta.message()).unwrap_or_default();
            return Self::refused(call, status, code, message, retry_after);
        }
        let unsent = chain(&error).any(refused_connection);
        Self::Unanswered { call: call.clone(), unsent, source: innermost(error) }
    }

    /// A refusal, from the parts of an answer.
    pub(super) fn refused(
        call: &Call,
        status: u16,
        code: Option<&str>,
        message: &str,
        retry_after: Option<Duration>,
    ) -> Self {
        let code = code.map_or_else(|| format!("HTTP {status}"), |code| bare_code(code).to_owned());
        let message = message.lines().next().unwrap_or_default().trim().chars().take(600).collect();
        Self::Refused(Box::new(Refusal { call: call.clone(), code, message, status, retry_after }))
    }

    /// The HTTP client could not be set up (no CA certificates, for example).
    pub(super) fn client(error: HttpError) -> Self {
        let call = Call::new("aws", "Connect", "any endpoint");
        Self::Unanswered { call, unsent: true, source: Box::new(error) }
    }

    /// The service's error code, if it answered with one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.code),
            _ => None,
        }
    }

    /// The service's own words, if it answered with an error.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.message),
            _ => None,
        }
    }

    /// Whether the service says that the credentials' time is up.
    #[must_use]
    pub fn is_expiry(&self) -> bool {
        matches!(self.code(), Some("ExpiredToken" | "ExpiredTokenException" | "RequestExpired"))
    }

    /// Whether the endpoint says that it does not know the operation: an emulator, or a region behind.
    #[must_use]
    pub fn is_unknown_operation(&self) -> bool {
        match self {
            Self::Refused(refusal) => {
                matches!(
                    refusal.code.as_str(),
                    "UnknownOperationException" | "UnknownOperation" | "InvalidAction" | "NotImplemented"
                ) || refusal.status == 501
                    || (matches!(refusal.status, 404 | 405) && refusal.code.starts_with("HTTP "))
            }
            _ => false,
        }
    }
}

/// An error on the way to credentials, found anywhere in the chain of causes.
fn of_credentials(error: &(dyn StdError + 'static)) -> Option<AwsError> {
    use aws_credential_types::provider::error::CredentialsError;
    chain(error).find_map(|cause| {
        if let Some(role) = cause.downcast_ref::<SharedRoleError>() {
            return Some(AwsError::Role(role.clone()));
        }
        let credentials = cause.downcast_ref::<CredentialsError>()?;
        if let Some(role) = chain(credentials).find_map(|cause| cause.downcast_ref::<SharedRoleError>()) {
            return Some(AwsError::Role(role.clone()));
        }
        Some(match credentials {
            CredentialsError::CredentialsNotLoaded(_) => AwsError::NoCredentials,
            other => AwsError::BadCredentials(said(other)),
        })
    })
}

impl From<aws_credential_types::provider::error::CredentialsError> for AwsError {
    fn from(error: aws_credential_types::provider::error::CredentialsError) -> Self {
        of_credentials(&error).unwrap_or(Self::NoCredentials)
    }
}

/// What a borrowed error says, innermost cause last, as an error of its own.
fn said(error: &(dyn StdError + 'static)) -> Box<dyn StdError + Send + Sync> {
    let mut parts: Vec<String> = Vec::new();
    for cause in chain(error).skip(1) {
        let text = cause.to_string();
        if parts.last() != Some(&text) {
            parts.push(text);
        }
    }
    if parts.is_empty() { error.to_string().into() } else { parts.join(": ").into() }
}

/// The SDK wraps a cause in several layers that say only "dispatch failure"; what matters is below them.
fn innermost<E: StdError + Send + Sync + 'static>(error: SdkError<E, HttpResponse>) -> Box<dyn StdError + Send + Sync> {
    match error {
        SdkError::TimeoutError(_) => "no answer in time".into(),
        other => match other.into_source() {
            Ok(source) => said(source.as_ref()),
            Err(error) => error.to_string().into(),
        },
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn refused_connection(cause: &(dyn StdError + 'static)) -> bool {
    use std::io::ErrorKind;
    cause.downcast_ref::<std::io::Error>().is_some_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
        )
    })
}

fn seconds(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

/// Codes come as `ns#Code:uri` too (AWS JSON 1.1 protocol, "operation error serialization").
fn bare_code(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or(code);
    code.rsplit('#').next().unwrap_or(code)
}

impl Classified for AwsError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NoRegion | Self::IncompleteRole(_) => ErrorClass::Invalid,
            Self::NoCredentials | Self::BadCredentials(_) => ErrorClass::Unauthenticated,
            Self::Role(error) => error.class(),
            Self::ForeignAccount { .. } => ErrorClass::Forbidden,
            Self::Refused(refusal) => class_of(&refusal.code, refusal.status),
            Self::Unanswered { .. } | Self::Malformed { .. } => ErrorClass::Unavailable,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    fn had_no_effect(&self) -> bool {
        match self {
            Self::Unanswered { unsent, .. } => *unsent,
            // Credentials are fetched before the request that needs them is sent.
            Self::Role(_) | Self::BadCredentials(_) | Self::NoCredentials => true,
            _ => self.class() == ErrorClass::RateLimited,
        }
    }
}

/// The class of an AWS error code; of the status when the code says nothing of its own.
pub(super) fn class_of(code: &str, status: u16) -> ErrorClass {
    match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "UnauthorizedException"
        | "NotAuthorized" => ErrorClass::Forbidden,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "TokenRefreshRequired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "AuthFailure"
        | "RequestExpired"
        | "InvalidIdentityToken" => ErrorClass::Unauthenticated,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "ProvisionedThroughputExceededException"
        | "SlowDown"
        | "PriorRequestNotComplete" => ErrorClass::RateLimited,
        "ClusterNotFoundException"
        | "ServiceNotFoundException"
        | "ServiceDeploymentNotFoundException"
        | "ResourceNotFoundException"
        | "RepositoryNotFoundException"
        | "ImageNotFoundException"
        | "ParameterNotFound"
        | "TargetGroupNotFound"
        | "TargetGroupNotFoundException" => ErrorClass::NotFound,
        "ServerException"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "IDPCommunicationError" => ErrorClass::Unavailable,
        _ => ErrorClass::of_status(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_code_before_the_status() {
        // All of these arrive with status 400 in the JSON 1.1 protocol.
        for (code, class) in [
            ("AccessDeniedException", ErrorClass::Forbidden),
            ("ExpiredTokenException", ErrorClass::Unauthenticated),
            ("ThrottlingException", ErrorClass::RateLimited),
            ("ClusterNotFoundException", ErrorClass::NotFound),
            ("ServerException", ErrorClass::Unavailable),
            ("ClientException", ErrorClass::Invalid),
        ] {
            assert_eq!(class_of(code, 400), class, "{code}");
        }
        assert_eq!(class_of("HTTP 503", 503), ErrorClass::Unavailable);
    }

    #[test]
    fn a_namespaced_code_is_the_same_code() {
        let call = Call::new("ecs", "DescribeServices", "service web");
        let error =
            AwsError::refused(&call, 400, Some("com.amazonaws.ecs#AccessDeniedException:http://x"), "no\nmore", None);
        assert_eq!(error.code(), Some("AccessDeniedException"));
        assert_eq!(error.to_string(), "ecs:DescribeServices on service web was refused (AccessDeniedException): no");
    }

    #[test]
    fn only_a_clear_word_makes_an_operation_unknown() {
        let call = Call::new("ecs", "ListServiceDeployments", "service web");
        let refused = |status, code| AwsError::refused(&call, status, code, "", None);
        assert!(refused(400, Some("UnknownOperationException")).is_unknown_operation());
        assert!(refused(501, None).is_unknown_operation());
        assert!(!refused(400, Some("AccessDeniedException")).is_unknown_operation());
        assert!(!refused(503, None).is_unknown_operation());
    }
}

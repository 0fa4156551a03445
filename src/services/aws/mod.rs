//! Purpose: one AWS session: region, endpoints, credentials and the account they belong to.
//!
//! Region, profile, endpoint overrides (`AWS_ENDPOINT_URL[_SERVICE]`) and the default credential chain are the
//! SDK's own business; it reads them where AWS documents them.

use std::sync::Arc;
use std::time::SystemTime;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::sync::OnceCell;

pub mod ecr;
pub mod ecs;
pub mod error;
mod json;
mod parameters;
mod renewal;
pub mod role;
pub mod scans;
#[cfg(test)]
mod tests;

pub use error::{AwsError, Call};
pub use json::{JsonCall, JsonService};
pub use parameters::Parameters;
pub use role::{OidcEndpoint, RoleRequest};

use super::SecretObserver;
use super::http::{self, Repeat, RetryPolicy};
use renewal::{Renewing, Source};
use role::AssumedRole;

/// What a session is made of.
#[derive(Clone)]
pub struct SessionOptions {
    /// Region; the SDK's own sources are asked when it is absent.
    pub region: Option<String>,
    /// The account that completes a role given by its name; with a single allowed account that one does.
    pub account: Option<String>,
    /// The role to assume; the default chain's own credentials are used when it is absent.
    pub role: Option<RoleRequest>,
    /// Where the runner issues OIDC tokens, when the role is to be assumed with one. Leave it out when static keys
    /// are given: then the role is assumed with those.
    pub oidc: Option<OidcEndpoint>,
    /// Accounts that the credentials may belong to; empty for any.
    pub allowed_account_ids: Vec<String>,
    /// Told every key, token and JWT before its first use.
    pub secrets: SecretObserver,
}

/// Who the credentials belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Account id.
    pub account: String,
    /// ARN of the caller.
    pub arn: String,
}

/// Region, endpoints and renewing credentials. Clones share one set of credentials.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    config: SdkConfig,
    region: String,
    credentials: SharedCredentialsProvider,
    http: reqwest::Client,
    sts: aws_sdk_sts::Client,
    policy: RetryPolicy,
    identity: OnceCell<Identity>,
}

impl Session {
    /// Prepares a session. Requests are made only when accounts are to be checked: then the credentials are
    /// fetched and their account is asked for.
    ///
    /// # Errors
    /// [`AwsError::NoRegion`], [`AwsError::IncompleteRole`], [`AwsError::ForeignAccount`] and whatever fetching
    /// the credentials raises.
    pub async fn connect(options: SessionOptions) -> Result<Self, AwsError> {
        let base = base_config(&options).await;
        Self::over(base, options, RetryPolicy::default()).await
    }

    async fn over(base: SdkConfig, options: SessionOptions, policy: RetryPolicy) -> Result<Self, AwsError> {
        let region = base.region().map(ToString::to_string).ok_or(AwsError::NoRegion)?;
        let http = http::client().map_err(AwsError::client)?;
        let source = source(&options, &base, &region, &http, policy)?;
        let time = base.time_source();
        let now = move || time.as_ref().map_or(SystemTime::UNIX_EPOCH, aws_types::sdk_config::SharedTimeSource::now);
        let credentials = SharedCredentialsProvider::new(Renewing::new(source, Box::new(now), options.secrets.clone()));
        let config = base
            .into_builder()
            .credentials_provider(credentials.clone())
            // `Renewing` remembers; a second memory in the SDK would keep credentials beyond their renewal.
            .identity_cache(IdentityCache::no_cache())
            .build();
        let sts = aws_sdk_sts::Client::new(&config);
        let session =
            Self(Arc::new(Inner { config, region, credentials, http, sts, policy, identity: OnceCell::new() }));
        if !options.allowed_account_ids.is_empty() {
            session.check_account(&options.allowed_account_ids).await?;
        }
        Ok(session)
    }

    /// What the SDK's clients are made from. Their own retry is off: wrap calls in [`Session::send`].
    #[must_use]
    pub fn sdk_config(&self) -> &SdkConfig {
        &self.0.config
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.0.region
    }

    /// Who the credentials belong to; asked once.
    ///
    /// # Errors
    /// Whatever `GetCallerIdentity` and fetching the credentials raise.
    pub async fn identity(&self) -> Result<&Identity, AwsError> {
        self.0
            .identity
            .get_or_try_init(|| async {
                let call = Call::new("sts", "GetCallerIdentity", "the credentials");
                let answer = self.send(Repeat::Always, &call, || self.0.sts.get_caller_identity().send()).await?;
                let malformed = || AwsError::Malformed { call: call.clone(), expected: "account and ARN" };
                Ok(Identity { account: answer.account.ok_or_else(malformed)?, arn: answer.arn.ok_or_else(malformed)? })
            })
            .await
    }

    /// Fetches credentials now, so that a refusal comes before any work.
    ///
    /// # Errors
    /// Whatever fetching the credentials raises.
    pub async fn credentials(&self) -> Result<aws_credential_types::Credentials, AwsError> {
        use aws_credential_types::provider::ProvideCredentials as _;
        Ok(self.0.credentials.provide_credentials().await?)
    }

    /// Sends one SDK operation under our own retry policy.
    ///
    /// # Errors
    /// The operation's last error.
    pub async fn send<T, E, F, Fut>(&self, repeat: Repeat, call: &Call, operation: F) -> Result<T, AwsError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        self.send_with(self.0.policy, repeat, call, operation).await
    }

    /// The same under a policy of the caller's.
    ///
    /// # Errors
    /// The operation's last error.
    pub async fn send_with<T, E, F, Fut>(
        &self,
        policy: RetryPolicy,
        repeat: Repeat,
        call: &Call,
        mut operation: F,
    ) -> Result<T, AwsError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let attempt = || {
            let sent = operation();
            async move { sent.await.map_err(|error| AwsError::of_sdk(call, error)) }
        };
        policy.run(repeat, attempt).await
    }

    async fn check_account(&self, allowed: &[String]) -> Result<(), AwsError> {
        let account = &self.identity().await?.account;
        if allowed.contains(account) {
            return Ok(());
        }
        Err(AwsError::ForeignAccount { account: account.clone(), allowed: allowed.to_vec() })
    }
}

async fn base_config(options: &SessionOptions) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(http::CONNECT_TIMEOUT)
        .operation_attempt_timeout(http::TOTAL_TIMEOUT)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    if let Ok(name) = AppName::new(concat!("landfall-", env!("CARGO_PKG_VERSION"))) {
        loader = loader.app_name(name);
    }
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    loader.load().await
}

fn source(
    options: &SessionOptions,
    base: &SdkConfig,
    region: &str,
    http: &reqwest::Client,
    policy: RetryPolicy,
) -> Result<Source, AwsError> {
    let ambient = base.credentials_provider();
    let Some(request) = &options.role else {
        return ambient.map(Source::Sdk).ok_or(AwsError::NoCredentials);
    };
    let role = role_arn(&request.role, region, options.account.as_ref(), &options.allowed_account_ids)?;
    let request = RoleRequest { role, ..request.clone() };
    if let Some(endpoint) = &options.oidc {
        (options.secrets)(&endpoint.token);
    }
    let (oidc, sts) = (options.oidc.clone(), aws_sdk_sts::Client::new(base));
    let (http, secrets) = (http.clone(), options.secrets.clone());
    Ok(Source::Role(Box::new(AssumedRole { request, oidc, sts, http, secrets, policy })))
}

/// Completes a bare role name.
fn role_arn(role: &str, region: &str, account: Option<&String>, allowed: &[String]) -> Result<String, AwsError> {
    if role.starts_with("arn:") {
        return Ok(role.to_owned());
    }
    let only = if let [only] = allowed { Some(only) } else { None };
    let account = account.or(only).ok_or_else(|| AwsError::IncompleteRole(role.to_owned()))?;
    Ok(format!("arn:{}:iam::{account}:role/{role}", partition(region)))
}

/// The partition that a region belongs to (AWS documentation, "Amazon Resource Names").
#[must_use]
pub fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

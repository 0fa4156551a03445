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
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Builder, Connector, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OnceCell;

pub mod ecr;
pub mod ecs;
pub mod error;
mod json;
mod parameters;
mod query;
mod renewal;
pub mod role;
pub mod scans;
#[cfg(test)]
mod tests;

pub use error::{AwsError, Call};
pub use json::{JsonCall, JsonService};
pub use parameters::Parameters;
pub use query::TargetHealth;
pub use role::{OidcEndpoint, RoleRequest};

use super::SecretObserver;
use super::asking::asking;
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
    /// Keys that were given, which come before the default chain's.
    pub keys: Option<StaticKeys>,
    /// Roles to assume after `role`, each with the credentials of the one before.
    pub chained: Vec<RoleRequest>,
    /// Accounts that the credentials may belong to; empty for any.
    pub allowed_account_ids: Vec<String>,
    /// Told every key, token and JWT before its first use.
    pub secrets: SecretObserver,
}

/// Keys as a person or an earlier step gives them.
#[derive(Clone)]
pub struct StaticKeys {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: SecretString,
    /// Session token, for the keys of a session.
    pub token: Option<SecretString>,
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
    credentials: Arc<Renewing>,
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

    /// The same over a configuration of the caller's: its endpoint, its credentials, its clock.
    ///
    /// # Errors
    /// Those of [`Self::connect`].
    pub async fn over(base: SdkConfig, options: SessionOptions, policy: RetryPolicy) -> Result<Self, AwsError> {
        let region = base.region().map(ToString::to_string).ok_or(AwsError::NoRegion)?;
        let http = http::client().map_err(AwsError::client)?;
        let credentials =
            Forge { options: &options, base: &base, region: &region, http: &http, policy }.credentials()?;
        let provider: Arc<dyn ProvideCredentials> = credentials.clone();
        let config = base
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::from(provider))
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
    pub async fn credentials(&self) -> Result<Credentials, AwsError> {
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
        let mut attempt = || {
            let sent = operation();
            async move {
                let _asking = asking(call);
                sent.await.map_err(|error| AwsError::of_sdk(call, error))
            }
        };
        // Fetched now: a role that cannot be assumed is said as that, and its own retries are not themselves retried.
        self.credentials().await?;
        let used = self.0.credentials.key().await;
        match policy.run(repeat, &mut attempt).await {
            Err(error) if self.can_go_on(&error, used.as_deref()).await => policy.run(repeat, attempt).await,
            done => done,
        }
    }

    /// Whether a call that was refused with these keys may be made again with new ones: a session may end before its
    /// time, and a role can be assumed anew. What is refused for its credentials has had no effect.
    async fn can_go_on(&self, error: &AwsError, used: Option<&str>) -> bool {
        error.is_expiry() && self.0.credentials.discard(used).await
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
        .http_client(http_client())
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

/// The SDK's client as it would be by default (proxies from the environment, the connect timeout of the operation), over ring.
#[must_use]
pub fn http_client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let mut connector = Connector::builder().tls_provider(ring).proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}

/// What credentials are made from.
struct Forge<'a> {
    options: &'a SessionOptions,
    base: &'a SdkConfig,
    region: &'a str,
    http: &'a reqwest::Client,
    policy: RetryPolicy,
}

impl Forge<'_> {
    /// The credentials of the last role, or of the keys or the chain when there is no role.
    fn credentials(&self) -> Result<Arc<Renewing>, AwsError> {
        let options = self.options;
        let own = match &options.keys {
            Some(keys) => Some(self.given(keys)),
            None => self.base.credentials_provider(),
        };
        let Some(role) = &options.role else {
            return own.map(|own| self.renewing(Source::Sdk(own))).ok_or(AwsError::NoCredentials);
        };
        if let Some(endpoint) = &options.oidc {
            (options.secrets)(&endpoint.token);
        }
        let mut credentials = self.renewing(self.assumed(role, own, options.oidc.clone())?);
        for role in &options.chained {
            let before: Arc<dyn ProvideCredentials> = credentials;
            credentials = self.renewing(self.assumed(role, Some(before.into()), None)?);
        }
        Ok(credentials)
    }

    fn given(&self, keys: &StaticKeys) -> SharedCredentialsProvider {
        (self.options.secrets)(&keys.secret);
        let token = keys.token.as_ref().map(|token| token.expose_secret().to_owned());
        let keys = Credentials::new(&keys.id, keys.secret.expose_secret(), token, None, "given");
        SharedCredentialsProvider::new(keys)
    }

    fn assumed(
        &self,
        request: &RoleRequest,
        with: Option<SharedCredentialsProvider>,
        oidc: Option<OidcEndpoint>,
    ) -> Result<Source, AwsError> {
        let options = self.options;
        let role = role_arn(&request.role, self.region, options.account.as_ref(), &options.allowed_account_ids)?;
        let mut config = self.base.to_builder();
        config.set_credentials_provider(with);
        Ok(Source::Role(Box::new(AssumedRole {
            request: RoleRequest { role, ..request.clone() },
            oidc,
            sts: aws_sdk_sts::Client::new(&config.build()),
            http: self.http.clone(),
            secrets: options.secrets.clone(),
            policy: self.policy,
        })))
    }

    fn renewing(&self, source: Source) -> Arc<Renewing> {
        let time = self.base.time_source();
        let now = move || time.as_ref().map_or(SystemTime::UNIX_EPOCH, aws_types::sdk_config::SharedTimeSource::now);
        Arc::new(Renewing::new(source, Box::new(now), self.options.secrets.clone()))
    }
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

//! Purpose: credentials that are renewed before they run out, whatever their source.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;

use super::role::AssumedRole;
use crate::services::SecretObserver;

/// Credentials are renewed when this many hundredths of their life have passed.
const RENEW_AFTER_PERCENT: u32 = 80;
/// After a failed renewal the old credentials serve on, and the next try comes this much later.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);

/// Where credentials come from.
pub(super) enum Source {
    /// A role to assume.
    Role(Box<AssumedRole>),
    /// A provider of the SDK: its default chain.
    Sdk(SharedCredentialsProvider),
}

impl Source {
    async fn fetch(&self) -> Result<Credentials, CredentialsError> {
        match self {
            Self::Role(role) => Ok(role.assume().await?),
            Self::Sdk(provider) => provider.provide_credentials().await,
        }
    }
}

struct Held {
    credentials: Credentials,
    renew_at: Option<SystemTime>,
}

/// A provider that remembers, renews at 80 % of the life, and tells every secret before it is used.
pub(super) struct Renewing {
    source: Source,
    now: Box<dyn Fn() -> SystemTime + Send + Sync>,
    secrets: SecretObserver,
    held: Mutex<Option<Held>>,
}

impl Renewing {
    pub(super) fn new(source: Source, now: Box<dyn Fn() -> SystemTime + Send + Sync>, secrets: SecretObserver) -> Self {
        Self { source, now, secrets, held: Mutex::new(None) }
    }

    async fn current(&self) -> Result<Credentials, CredentialsError> {
        let mut held = self.held.lock().await;
        let now = (self.now)();
        if let Some(known) = held.as_ref()
            && known.renew_at.is_none_or(|at| now < at)
        {
            return Ok(known.credentials.clone());
        }
        match self.source.fetch().await {
            Ok(credentials) => {
                self.tell(&credentials);
                let renew_at = renewal_time((self.now)(), credentials.expiry());
                *held = Some(Held { credentials: credentials.clone(), renew_at });
                Ok(credentials)
            }
            Err(error) => match held.as_mut() {
                Some(known) if known.credentials.expiry().is_some_and(|end| now + RENEWAL_PAUSE < end) => {
                    known.renew_at = Some(now + RENEWAL_PAUSE);
                    Ok(known.credentials.clone())
                }
                _ => Err(error),
            },
        }
    }

    /// The access key in use now, if any is.
    pub(super) async fn key(&self) -> Option<String> {
        self.held.lock().await.as_ref().map(|held| held.credentials.access_key_id().to_owned())
    }

    /// Forgets credentials that were refused as expired although their time is not up. Tells whether others can be
    /// had: a role is assumed anew, what an earlier step left in the environment stays as it is.
    pub(super) async fn discard(&self, refused: Option<&str>) -> bool {
        if matches!(self.source, Source::Sdk(_)) {
            return false;
        }
        let mut held = self.held.lock().await;
        // Another call may have renewed them meanwhile.
        if held.as_ref().is_some_and(|held| refused.is_none_or(|refused| held.credentials.access_key_id() == refused)) {
            *held = None;
        }
        true
    }

    fn tell(&self, credentials: &Credentials) {
        let parts =
            [Some(credentials.access_key_id()), Some(credentials.secret_access_key()), credentials.session_token()];
        for part in parts.into_iter().flatten() {
            (self.secrets)(&part.into());
        }
    }
}

/// When credentials obtained `now` want renewal; never when they do not expire.
fn renewal_time(now: SystemTime, expiry: Option<SystemTime>) -> Option<SystemTime> {
    let life = expiry?.duration_since(now).unwrap_or_default();
    Some(now + life * RENEW_AFTER_PERCENT / 100)
}

impl fmt::Debug for Renewing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewing").finish_non_exhaustive()
    }
}

impl ProvideCredentials for Renewing {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex as Plain};

    use super::*;

    /// Issues keys `1`, `2`, … living 1000 s from the shared time; fails while `broken`.
    #[derive(Debug, Clone, Default)]
    struct Issuer {
        time: Arc<AtomicU64>,
        issued: Arc<AtomicU64>,
        broken: Arc<AtomicU64>,
    }

    impl Issuer {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(self.time.load(Ordering::SeqCst))
        }
    }

    impl ProvideCredentials for Issuer {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            if self.broken.load(Ordering::SeqCst) == 1 {
                return future::ProvideCredentials::ready(Err(CredentialsError::provider_error("down")));
            }
            let number = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
            let expiry = self.now() + Duration::from_secs(1000);
            let credentials =
                Credentials::new(format!("key{number}"), "secret-key", Some("session".into()), Some(expiry), "test");
            future::ProvideCredentials::ready(Ok(credentials))
        }
    }

    fn renewing(issuer: &Issuer, told: &Arc<Plain<Vec<String>>>) -> Renewing {
        use secrecy::ExposeSecret as _;
        let (clock, told) = (issuer.clone(), told.clone());
        Renewing::new(
            Source::Sdk(SharedCredentialsProvider::new(issuer.clone())),
            Box::new(move || clock.now()),
            Arc::new(move |secret| told.lock().unwrap().push(secret.expose_secret().to_owned())),
        )
    }

    #[tokio::test]
    async fn renews_at_four_fifths_of_the_life_and_not_before() {
        let (issuer, told) = (Issuer::default(), Arc::default());
        let provider = renewing(&issuer, &told);
        let at = async |seconds| {
            issuer.time.store(seconds, Ordering::SeqCst);
            provider.provide_credentials().await.unwrap().access_key_id().to_owned()
        };
        assert_eq!(
            [at(0).await, at(799).await, at(800).await, at(1599).await, at(1600).await],
            ["key1", "key1", "key2", "key2", "key3"]
        );
        assert!(told.lock().unwrap().iter().any(|secret| secret == "secret-key"), "secrets are told");
    }

    #[tokio::test]
    async fn a_failed_renewal_uses_the_rest_of_the_life() {
        let (issuer, told) = (Issuer::default(), Arc::default());
        let provider = renewing(&issuer, &told);
        provider.provide_credentials().await.unwrap();
        issuer.broken.store(1, Ordering::SeqCst);
        issuer.time.store(900, Ordering::SeqCst);
        assert_eq!(provider.provide_credentials().await.unwrap().access_key_id(), "key1");
        issuer.time.store(990, Ordering::SeqCst);
        assert!(provider.provide_credentials().await.is_err(), "too close to the end to be of use");
        issuer.broken.store(0, Ordering::SeqCst);
        assert_eq!(provider.provide_credentials().await.unwrap().access_key_id(), "key2");
    }
}

//! Purpose: Tailscale's API, as far as a key for one ephemeral node needs it.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::http::{self, HttpError, Repeat, RetryPolicy};
use super::{Classified, ErrorClass, SecretObserver};

/// Seconds until an unused key is worth nothing.
const KEY_LIFE: u64 = 600;

/// An OAuth client of a tailnet.
#[derive(Debug, Clone)]
pub struct OauthClient {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
}

/// Tailscale's API.
#[derive(Clone)]
pub struct Tailscale {
    base: Url,
    http: reqwest::Client,
    policy: RetryPolicy,
    secrets: SecretObserver,
}

/// A key was not given.
#[derive(Debug, thiserror::Error)]
pub enum TailscaleError {
    /// The address is none.
    #[error("'{0}' is not an http or https address")]
    Address(String),
    /// The OAuth client was not accepted.
    #[error("Tailscale does not accept the OAuth client")]
    Client(#[source] HttpError),
    /// No key for a node was made.
    #[error("Tailscale makes no key for a node tagged {tags}")]
    Key {
        /// The tags.
        tags: String,
        /// The cause.
        #[source]
        source: HttpError,
    },
}

impl Classified for TailscaleError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Address(_) => ErrorClass::Invalid,
            Self::Client(source) | Self::Key { source, .. } => source.class(),
        }
    }
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: SecretString,
}

#[derive(Deserialize)]
struct KeyBody {
    key: SecretString,
}

impl Tailscale {
    /// The API at `base`, `https://api.tailscale.com`.
    ///
    /// # Errors
    /// [`TailscaleError::Address`].
    pub fn new(base: &str, secrets: SecretObserver) -> Result<Self, TailscaleError> {
        let refused = || TailscaleError::Address(base.to_owned());
        let base = Url::parse(base).map_err(|_| refused())?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(refused());
        }
        Ok(Self {
            base,
            http: http::client().map_err(TailscaleError::Client)?,
            policy: RetryPolicy::default(),
            secrets,
        })
    }

    /// A key for one node that is ephemeral, approved and has these tags.
    ///
    /// # Errors
    /// [`TailscaleError::Client`], [`TailscaleError::Key`].
    pub async fn node_key(&self, client: &OauthClient, tags: &[String]) -> Result<SecretString, TailscaleError> {
        let token = self.policy.run(Repeat::Always, || self.token(client)).await.map_err(TailscaleError::Client)?;
        (self.secrets)(&token);
        let made = self.policy.run(Repeat::IfWithoutEffect, || self.key(&token, tags)).await;
        let key = made.map_err(|source| TailscaleError::Key { tags: tags.join(", "), source })?;
        (self.secrets)(&key);
        Ok(key)
    }

    async fn token(&self, client: &OauthClient) -> Result<SecretString, HttpError> {
        let url = self.at("api/v2/oauth/token");
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &client.id)
            .append_pair("client_secret", client.secret.expose_secret())
            .append_pair("grant_type", "client_credentials")
            .finish();
        let request = self.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
        let body: TokenBody = json_of(request, "an access token").await?;
        Ok(body.access_token)
    }

    async fn key(&self, token: &SecretString, tags: &[String]) -> Result<SecretString, HttpError> {
        let device = json!({ "reusable": false, "ephemeral": true, "preauthorized": true, "tags": tags });
        let body = json!({
            "capabilities": { "devices": { "create": device } },
            "expirySeconds": KEY_LIFE,
            "description": "landfall",
        });
        let request = self.http.post(self.at("api/v2/tailnet/-/keys")).bearer_auth(token.expose_secret());
        let request = request.header("content-type", "application/json").body(body.to_string());
        let body: KeyBody = json_of(request, "a key").await?;
        Ok(body.key)
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        url
    }
}

async fn json_of<T: serde::de::DeserializeOwned>(
    request: reqwest::RequestBuilder,
    expected: &'static str,
) -> Result<T, HttpError> {
    let response = http::send(request).await?;
    let target = http::shown(response.url());
    let malformed = || HttpError::Malformed { target: target.clone(), expected };
    let body = response.bytes().await.map_err(|_| malformed())?;
    serde_json::from_slice(&body).map_err(|_| malformed())
}

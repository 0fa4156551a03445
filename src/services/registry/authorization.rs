//! Purpose: tokens: fetched from where a registry says, kept per repository and right, renewed when they are refused.

use std::collections::HashMap;

use http::Method;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::challenge::Challenge;
use super::credentials::encoded;
use super::request::{Actions, Call};
use super::{RegistryClient, RegistryError};
use crate::services::engine::Login;

/// `Authorization` headers that worked, by repository and right.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<(String, Actions), HeaderValue>>);

/// A token endpoint's answer; both names are in use (distribution's token specification).
#[derive(Deserialize)]
struct TokenBody {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
}

impl RegistryClient {
    pub(super) async fn known_authorization(&self, call: &Call<'_>) -> Option<HeaderValue> {
        self.0.tokens.0.lock().await.get(&key(call)).cloned()
    }

    /// The header that answers a 401; `None` when there is nothing to answer with.
    pub(super) async fn authorize(
        &self,
        call: &Call<'_>,
        refusal: &HeaderMap,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let Some(challenge) = Challenge::of(refusal) else {
            return Ok(None);
        };
        let login = self.login(call.name.registry()).await?;
        let header = match (challenge, login) {
            (Challenge::Basic, None) => return Ok(None),
            (Challenge::Basic, Some(login)) => basic(call, &login)?,
            (Challenge::Bearer { realm, service, scope }, login) => {
                let token = self.token(call, &realm, service, scope, login.as_ref()).await?;
                (self.0.logins.secrets())(&token);
                header(call, format!("Bearer {}", token.expose_secret()))?
            }
        };
        self.0.tokens.0.lock().await.insert(key(call), header.clone());
        Ok(Some(header))
    }

    /// Fetches a token. Its endpoint is often another host; the login goes there because the registry says so.
    async fn token(
        &self,
        call: &Call<'_>,
        realm: &str,
        service: Option<String>,
        scope: Option<String>,
        login: Option<&Login>,
    ) -> Result<SecretString, RegistryError> {
        let asked = Call { method: Method::GET, asked: format!("a token for {}", call.asked), ..call.clone() };
        let mut url: Url = realm.parse().map_err(|_| asked.malformed("a usable token address"))?;
        let origin = self.origin(call.name).parse().map_err(|_| asked.malformed("at an address"))?;
        self.check_encrypted(&asked, &origin, &url)?;
        let scope = scope.unwrap_or_else(|| format!("repository:{}:{}", call.name.repository(), call.actions.scope()));
        url.query_pairs_mut().extend_pairs(service.map(|service| ("service", service))).append_pair("scope", &scope);
        let mut request = self.0.http.get(url);
        if let Some(login) = login {
            request = request.header(AUTHORIZATION, basic(call, login)?);
        }
        let response = request.send().await.map_err(|error| asked.unanswered(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(|error| asked.unanswered(error))?;
        if !status.is_success() {
            return Err(asked.refused(status, &headers, &body));
        }
        let body: TokenBody = serde_json::from_slice(&body).map_err(|_| asked.malformed("a token"))?;
        body.token.or(body.access_token).ok_or_else(|| asked.malformed("a token"))
    }
}

fn key(call: &Call<'_>) -> (String, Actions) {
    (format!("{}/{}", call.name.registry(), call.name.repository()), call.actions)
}

fn basic(call: &Call<'_>, login: &Login) -> Result<HeaderValue, RegistryError> {
    header(call, format!("Basic {}", encoded(login).expose_secret()))
}

fn header(call: &Call<'_>, value: String) -> Result<HeaderValue, RegistryError> {
    let mut header = HeaderValue::try_from(value).map_err(|_| RegistryError::BadLogin { registry: call.registry() })?;
    header.set_sensitive(true);
    Ok(header)
}

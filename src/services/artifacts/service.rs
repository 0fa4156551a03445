//! Purpose: the artifact service's methods (Twirp over JSON), version 4 and later.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use super::{ArtifactError, Stored};
use crate::domain::artifact::{ArtifactName, BackendIds};
use crate::services::http::{self, HttpError, Repeat, RetryPolicy};
use crate::services::{Classified as _, ErrorClass, SecretObserver};

/// The path before every method.
const SERVICE: &str = "/twirp/github.actions.results.api.v1.ArtifactService/";

/// What the runner says about its artifact service.
#[derive(Clone)]
pub struct ArtifactOptions {
    /// `ACTIONS_RESULTS_URL`.
    pub results_url: Option<String>,
    /// `ACTIONS_RUNTIME_TOKEN`.
    pub token: Option<SecretString>,
    /// Told the token and the signatures of addresses before their first use.
    pub secrets: SecretObserver,
}

/// The artifact service, as this job.
#[derive(Clone)]
pub struct Artifacts {
    pub(super) http: reqwest::Client,
    pub(super) policy: RetryPolicy,
    pub(super) secrets: SecretObserver,
    base: Url,
    token: SecretString,
    ids: BackendIds,
}

impl Artifacts {
    /// Makes a client; nothing is asked yet.
    ///
    /// # Errors
    /// [`ArtifactError::NoService`], [`ArtifactError::Address`], [`ArtifactError::Token`].
    pub fn new(options: &ArtifactOptions) -> Result<Self, ArtifactError> {
        let (Some(address), Some(token)) = (&options.results_url, &options.token) else {
            return Err(ArtifactError::NoService);
        };
        (options.secrets)(token);
        // Only the origin counts; the path is another service's.
        let base = Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.and_then(|url| url.join("/").ok()).ok_or(ArtifactError::Address)?;
        let ids = BackendIds::of_token(token.expose_secret())?;
        let http = http::client().map_err(|source| ArtifactError::Http { action: "setting up".to_owned(), source })?;
        let (token, secrets) = (token.clone(), options.secrets.clone());
        Ok(Self { http, policy: RetryPolicy::default(), secrets, base, token, ids })
    }

    /// The same client with another patience.
    #[must_use]
    pub fn with_policy(self, policy: RetryPolicy) -> Self {
        Self { policy, ..self }
    }

    /// This run's artifact of that name. Of several, as attempts of a run leave them, the newest.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`] only when the service's list has none of that name.
    pub async fn find(&self, name: &ArtifactName) -> Result<Stored, ArtifactError> {
        let action = || format!("looking for the artifact '{name}'");
        let listed: Listed = self.call(&action(), "ListArtifacts", json!({ "name_filter": name.as_str() })).await?;
        let newest = listed.artifacts.into_iter().filter(|entry| entry.name == name.as_str()).max_by_key(Entry::id);
        match newest {
            Some(entry) => Ok(Stored::of_service(self, entry)),
            None => Err(ArtifactError::NotFound {
                name: name.to_string(),
                place: "this run".to_owned(),
                has: self.names().await?,
            }),
        }
    }

    /// Names of all of this run's artifacts.
    ///
    /// # Errors
    /// Any failure to ask.
    pub async fn names(&self) -> Result<Vec<String>, ArtifactError> {
        let listed: Listed = self.call("listing the run's artifacts", "ListArtifacts", json!({})).await?;
        let mut names: Vec<String> = listed.artifacts.into_iter().map(|entry| entry.name).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Removes this run's artifact of that name; whether there was one.
    ///
    /// # Errors
    /// Any failure to ask.
    pub async fn delete(&self, name: &ArtifactName) -> Result<bool, ArtifactError> {
        let action = format!("removing the artifact '{name}'");
        match self.call::<Done>(&action, "DeleteArtifact", json!({ "name": name.as_str() })).await {
            Ok(done) if done.ok => Ok(true),
            Ok(_) => Err(ArtifactError::Refused { action }),
            Err(error) if error.class() == ErrorClass::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A signed address of an artifact's content.
    pub(super) async fn signed_address(&self, entry: &Entry) -> Result<Url, ArtifactError> {
        let action = format!("asking for the artifact '{}'", entry.name);
        let mut request = json!({ "name": entry.name });
        for (key, id) in [
            ("workflow_run_backend_id", &entry.workflow_run_backend_id),
            ("workflow_job_run_backend_id", &entry.workflow_job_run_backend_id),
        ] {
            if !id.is_empty() {
                request[key] = json!(id);
            }
        }
        let signed: Signed = self.call(&action, "GetSignedArtifactURL", request).await?;
        self.signed(&action, &signed.url)
    }

    /// An address with a signature, which is masked.
    pub(super) fn signed(&self, action: &str, address: &str) -> Result<Url, ArtifactError> {
        let url = Url::parse(address).map_err(|_| ArtifactError::Http {
            action: action.to_owned(),
            source: HttpError::Malformed { target: self.base.to_string(), expected: "a signed address" },
        })?;
        mask_signature(&url, &self.secrets);
        Ok(url)
    }

    /// One method, with retries. Our own ids are added where the request names none.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        action: &str,
        method: &str,
        mut request: Value,
    ) -> Result<T, ArtifactError> {
        for (key, id) in [("workflow_run_backend_id", &self.ids.run), ("workflow_job_run_backend_id", &self.ids.job)] {
            if request.get(key).is_none() {
                request[key] = json!(id);
            }
        }
        let failed = |source| ArtifactError::Http { action: action.to_owned(), source };
        let url = self.base.join(&format!("{SERVICE}{method}")).map_err(|_| ArtifactError::Address)?;
        let attempt = || async {
            let request = self.http.post(url.clone()).bearer_auth(self.token.expose_secret().trim()).json(&request);
            let answer = http::send(request).await.map_err(failed)?;
            answer.json().await.map_err(|_| {
                failed(HttpError::Malformed { target: http::shown(&url), expected: "the artifact service's answer" })
            })
        };
        // Repeating is safe: what a lost first try made shows as a conflict, which the caller knows how to read.
        self.policy.run(Repeat::Always, attempt).await
    }
}

/// Masks the signature of an address, as it is and as it is written in the address.
pub(super) fn mask_signature(url: &Url, secrets: &SecretObserver) {
    for (key, value) in url.query_pairs() {
        if key == "sig" {
            secrets(&SecretString::from(value.into_owned()));
        }
    }
    for pair in url.query().unwrap_or_default().split('&') {
        if let Some(value) = pair.strip_prefix("sig=") {
            secrets(&SecretString::from(value));
        }
    }
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    artifacts: Vec<Entry>,
}

/// An entry of the service's list.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Entry {
    #[serde(default, alias = "workflowRunBackendId")]
    workflow_run_backend_id: String,
    #[serde(default, alias = "workflowJobRunBackendId")]
    workflow_job_run_backend_id: String,
    #[serde(default, alias = "databaseId")]
    database_id: Value,
    pub(super) name: String,
    #[serde(default)]
    size: Value,
    #[serde(default)]
    digest: Option<Value>,
}

/// 64-bit numbers are strings in this protocol; numbers are taken as well.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

impl Entry {
    pub(super) fn id(&self) -> u64 {
        number(&self.database_id).unwrap_or_default()
    }

    pub(super) fn size(&self) -> Option<u64> {
        number(&self.size)
    }

    /// A bare value, or one in the protocol's wrapper.
    pub(super) fn digest(&self) -> Option<String> {
        let digest = self.digest.as_ref()?;
        let text = digest.as_str().or_else(|| digest.get("value")?.as_str())?;
        (!text.is_empty()).then(|| text.to_owned())
    }
}

#[derive(Deserialize)]
struct Signed {
    #[serde(alias = "signedUrl", rename = "signed_url")]
    url: String,
}

#[derive(Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    pub(super) ok: bool,
    #[serde(default, alias = "artifactId")]
    pub(super) artifact_id: Value,
}

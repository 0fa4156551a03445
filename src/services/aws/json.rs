//! Purpose: signed calls in the AWS JSON protocol, raw JSON in and raw JSON out.
//!
//! Two reasons for it beside the SDK. Task definitions: the SDK's serializer and parser drop every key that its
//! model does not know, silently; here the document a user wrote is the document that is sent, and what ECS holds
//! is what is compared. And services of which one or two calls are needed (Logs, SSM, Secrets Manager): their SDK
//! crates would double the code to compile. Credentials, region and endpoint overrides stay the SDK's.

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_types::service_config::ServiceConfigKey;
use serde_json::Value;

use super::error::{AwsError, Call};
use super::{Session, partition};
use crate::services::asking::asking;
use crate::services::http::{self, Repeat};

/// A service that speaks the JSON protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonService {
    /// Elastic Container Service.
    Ecs,
    /// Elastic Container Registry.
    Ecr,
    /// The public registry, public.ecr.aws.
    EcrPublic,
    /// CloudWatch Logs.
    Logs,
    /// Systems Manager, for its parameter store.
    Ssm,
    /// Secrets Manager.
    SecretsManager,
}

/// What a service is called in its various roles (botocore, `service-2.json`, metadata).
pub(super) struct Names {
    /// IAM prefix and signing name.
    pub(super) signing: &'static str,
    /// First label of the host name.
    pub(super) host: &'static str,
    /// Name for endpoint overrides, `AWS_ENDPOINT_URL_<ID>`.
    pub(super) id: &'static str,
    /// Prefix of `X-Amz-Target`; empty in the query protocol.
    pub(super) target: &'static str,
}

impl JsonService {
    fn names(self) -> Names {
        match self {
            Self::Ecs => Names { signing: "ecs", host: "ecs", id: "ECS", target: "AmazonEC2ContainerServiceV20141113" },
            Self::Ecr => {
                Names { signing: "ecr", host: "api.ecr", id: "ECR", target: "AmazonEC2ContainerRegistry_V20150921" }
            }
            Self::EcrPublic => Names {
                signing: "ecr-public",
                host: "api.ecr-public",
                id: "ECR PUBLIC",
                target: "SpencerFrontendService",
            },
            Self::Logs => Names { signing: "logs", host: "logs", id: "CloudWatch Logs", target: "Logs_20140328" },
            Self::Ssm => Names { signing: "ssm", host: "ssm", id: "SSM", target: "AmazonSSM" },
            Self::SecretsManager => Names {
                signing: "secretsmanager",
                host: "secretsmanager",
                id: "Secrets Manager",
                target: "secretsmanager",
            },
        }
    }
}

/// Where a call goes and which region it is signed for.
pub(super) struct Endpoint {
    pub(super) url: url::Url,
    pub(super) region: String,
}

/// One call in the JSON protocol.
#[derive(Debug, Clone, Copy)]
pub struct JsonCall<'a> {
    /// The service.
    pub service: JsonService,
    /// The operation: `GetLogEvents`.
    pub operation: &'static str,
    /// What it is about, for error messages.
    pub object: &'a str,
    /// The request.
    pub body: &'a Value,
    /// Whether it may be repeated when its effect is unknown.
    pub repeat: Repeat,
}

impl Session {
    /// Sends one call of the JSON protocol and returns the answer as it came.
    ///
    /// # Errors
    /// Refusals of the service, transport errors, an answer that is not JSON.
    pub async fn json_call(&self, request: JsonCall<'_>) -> Result<Value, AwsError> {
        self.json_call_in(self.region(), request).await
    }

    /// The same in another region.
    ///
    /// # Errors
    /// As [`Self::json_call`].
    pub async fn json_call_in(&self, region: &str, request: JsonCall<'_>) -> Result<Value, AwsError> {
        let names = request.service.names();
        let call = Call::new(names.signing, request.operation, request.object);
        let to = Endpoint { url: self.endpoint(&names, region, &call)?, region: region.to_owned() };
        let body = request.body.to_string();
        let attempt = || self.json_once(&names, &call, &to, &body);
        self.persist(request.repeat, attempt).await
    }

    /// Tries under the session's own policy, and once more with new credentials when the old ones ended early.
    pub(super) async fn persist<T, F, Fut>(&self, repeat: Repeat, mut attempt: F) -> Result<T, AwsError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, AwsError>>,
    {
        self.credentials().await?;
        let used = self.0.credentials.key().await;
        match self.0.policy.run(repeat, &mut attempt).await {
            Err(error) if self.can_go_on(&error, used.as_deref()).await => self.0.policy.run(repeat, attempt).await,
            done => done,
        }
    }

    /// The endpoint: the service's own override, the general one, else the region's.
    pub(super) fn endpoint(&self, names: &Names, region: &str, call: &Call) -> Result<url::Url, AwsError> {
        let config = self.sdk_config();
        let key =
            ServiceConfigKey::builder().service_id(names.id).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
        let own = key.ok().and_then(|key| config.service_config().and_then(|service| service.load_config(key)));
        let address = own.or_else(|| config.endpoint_url().map(str::to_owned)).unwrap_or_else(|| {
            let suffix = if partition(region) == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://{}.{region}.{suffix}/", names.host)
        });
        url::Url::parse(&address).map_err(|source| AwsError::Unanswered {
            call: call.clone(),
            unsent: true,
            source: format!("the endpoint '{address}' is not a URL ({source})").into(),
        })
    }

    async fn json_once(&self, names: &Names, call: &Call, to: &Endpoint, body: &str) -> Result<Value, AwsError> {
        let target = format!("{}.{}", names.target, call.operation);
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
        let answer = self.post(call, names.signing, to, &headers, body).await?;
        let content = serde_json::from_slice::<Value>(&answer.body);
        if (200..300).contains(&answer.status) {
            return content.map_err(|_| AwsError::Malformed { call: call.clone(), expected: "JSON" });
        }
        let content = content.unwrap_or_default();
        let text = |key: &str| content.get(key).and_then(Value::as_str);
        let code = text("__type").or_else(|| text("code")).or(answer.code.as_deref());
        let message = text("message").or_else(|| text("Message")).unwrap_or_default();
        Err(AwsError::refused(call, answer.status, code, message, answer.retry_after))
    }

    /// One signed POST, answered whatever the status.
    pub(super) async fn post(
        &self,
        call: &Call,
        signing: &'static str,
        to: &Endpoint,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<HttpAnswer, AwsError> {
        let request = self.signed(signing, headers, to, body).await.map_err(|error| match error {
            Unsigned::Credentials(error) => error,
            Unsigned::Signing(source) => AwsError::Unanswered { call: call.clone(), unsent: true, source },
        })?;
        let unanswered = |source: reqwest::Error| AwsError::Unanswered {
            call: call.clone(),
            unsent: source.is_connect(),
            source: Box::new(source.without_url()),
        };
        let _asking = asking(call);
        let late = || AwsError::Unanswered { call: call.clone(), unsent: false, source: "no answer in time".into() };
        let exchange = async {
            let response = self.0.http.execute(request).await.map_err(unanswered)?;
            let (status, retry_after) = (response.status().as_u16(), http::wait_asked(response.headers()));
            let code =
                response.headers().get("x-amzn-errortype").and_then(|code| code.to_str().ok()).map(str::to_owned);
            let body = response.bytes().await.map_err(unanswered)?;
            Ok::<_, AwsError>(HttpAnswer { status, retry_after, code, body })
        };
        tokio::time::timeout(http::TOTAL_TIMEOUT, exchange).await.map_err(|_| late())?
    }

    async fn signed(
        &self,
        signing: &'static str,
        headers: &[(&str, &str)],
        to: &Endpoint,
        body: &str,
    ) -> Result<reqwest::Request, Unsigned> {
        let Endpoint { url, region } = to;
        let credentials = self.0.credentials.provide_credentials().await.map_err(AwsError::from)?;
        let identity = credentials.into();
        let time = self.sdk_config().time_source().ok_or("the SDK has no clock")?.now();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(signing)
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let mut request = ::http::Request::post(url.as_str()).header("host", authority(url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.to_owned()).map_err(|error| error.to_string())?;
        let headers: Vec<(String, String)> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signable = SignableRequest::new("POST", url.as_str(), headers, SignableBody::Bytes(body.as_bytes()))?;
        let (instructions, _signature) = sign(signable, &params)?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(reqwest::Request::try_from(request).map_err(|error| error.without_url().to_string())?)
    }
}

/// An answer before it is understood.
pub(super) struct HttpAnswer {
    pub(super) status: u16,
    pub(super) retry_after: Option<std::time::Duration>,
    /// The error's code, when a header carries it.
    code: Option<String>,
    pub(super) body: bytes::Bytes,
}

/// Why a request could not even be signed.
enum Unsigned {
    Credentials(AwsError),
    Signing(Box<dyn std::error::Error + Send + Sync>),
}

impl From<AwsError> for Unsigned {
    fn from(error: AwsError) -> Self {
        Self::Credentials(error)
    }
}

impl From<SigningError> for Unsigned {
    fn from(error: SigningError) -> Self {
        Self::Signing(Box::new(error))
    }
}

impl From<String> for Unsigned {
    fn from(error: String) -> Self {
        Self::Signing(error.into())
    }
}

impl From<&str> for Unsigned {
    fn from(error: &str) -> Self {
        Self::Signing(error.into())
    }
}

/// Host and explicit port, as the `Host` header carries them.
fn authority(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

//! Purpose: the values of build secrets, handed out only for the ids that the request names.

use std::collections::BTreeMap;

use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse, secrets_server};
use secrecy::ExposeSecret as _;
use tonic::{Request, Response, Status};

use super::super::{BuildSecret, SecretValue};

/// BuildKit's own limit for one secret.
const LONGEST: u64 = 500 * 1024;

pub(super) struct Secrets {
    values: BTreeMap<String, SecretValue>,
}

impl Secrets {
    pub(super) fn new(secrets: &[BuildSecret]) -> Self {
        Self { values: secrets.iter().map(|secret| (secret.id.clone(), secret.value.clone())).collect() }
    }
}

#[tonic::async_trait]
impl secrets_server::Secrets for Secrets {
    async fn get_secret(&self, request: Request<GetSecretRequest>) -> Result<Response<GetSecretResponse>, Status> {
        let id = &request.get_ref().id;
        let data = match self.values.get(id) {
            None => {
                return Err(Status::not_found(format!("the build was given no secret {id}")));
            }
            Some(SecretValue::Text(text)) => text.expose_secret().as_bytes().to_vec(),
            Some(SecretValue::File(path)) => {
                let unreadable = |error| Status::internal(format!("cannot read the file of secret {id}: {error}"));
                let length = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
                if length > LONGEST {
                    return Err(Status::invalid_argument(format!("secret {id} is longer than 500 KiB")));
                }
                tokio::fs::read(path).await.map_err(unreadable)?
            }
        };
        Ok(Response::new(GetSecretResponse { data }))
    }
}

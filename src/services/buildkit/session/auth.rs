//! Purpose: logins for the registries that a build reads from or pushes to.
//!
//! Only `Credentials` is answered. To the token methods we say that we are no token authority (`Unavailable`, which
//! BuildKit 0.8 and newer take as such); the builder then fetches tokens itself, with the credentials.

use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse, auth_server,
};
use secrecy::ExposeSecret as _;
use tonic::{Request, Response, Status};

use super::Logins;

pub(super) struct Auth {
    logins: Logins,
}

impl Auth {
    pub(super) fn new(logins: Logins) -> Self {
        Self { logins }
    }
}

fn no_authority() -> Status {
    Status::unavailable("no token authority here; use the credentials")
}

#[tonic::async_trait]
impl auth_server::Auth for Auth {
    async fn credentials(&self, request: Request<CredentialsRequest>) -> Result<Response<CredentialsResponse>, Status> {
        let answer = self.logins.for_host(&request.get_ref().host).map(|login| CredentialsResponse {
            username: login.username.clone(),
            secret: login.password.expose_secret().to_owned(),
        });
        // Empty credentials: anonymous.
        Ok(Response::new(answer.unwrap_or_default()))
    }

    async fn fetch_token(&self, _: Request<FetchTokenRequest>) -> Result<Response<FetchTokenResponse>, Status> {
        Err(no_authority())
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(no_authority())
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(no_authority())
    }
}

//! Purpose: Amazon ECR: the login that its API issues, and existence by its API.
//!
//! `DescribeImages` needs fewer permissions than a pull and does not count as one.

use aws_sdk_ecr::Client;
use aws_sdk_ecr::config::{Builder, Region};
use aws_sdk_ecr::types::ImageIdentifier;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::SecretString;

use super::RegistryError;
use crate::domain::names::Digest;
use crate::domain::reference::ImageRef;
use crate::services::SecretObserver;
use crate::services::aws::{AwsError, Call, JsonCall, JsonService, Session};
use crate::services::engine::Login;
use crate::services::http::Repeat;

/// The login for all of ECR's registries in a region that these credentials may use; valid for 12 hours.
///
/// # Errors
/// The refusal of `ecr:GetAuthorizationToken`, and transport errors.
pub async fn login(session: &Session, region: &str, secrets: &SecretObserver) -> Result<Login, RegistryError> {
    let client = client(session, Some(region.to_owned()));
    let call = Call::new("ecr", "GetAuthorizationToken", format!("registries in {region}"));
    let operation = || client.get_authorization_token().send();
    let answer = session.send(Repeat::Always, &call, operation).await?;
    let token = answer.authorization_data().first().and_then(|data| data.authorization_token());
    Ok(decoded(token, secrets).ok_or(AwsError::Malformed { call, expected: "a user and a password in base64" })?)
}

/// The login for public.ecr.aws, whose API is in one region only; valid for 12 hours.
///
/// # Errors
/// The refusal of `ecr-public:GetAuthorizationToken`, and transport errors.
pub async fn public_login(session: &Session, secrets: &SecretObserver) -> Result<Login, RegistryError> {
    let call = JsonCall {
        service: JsonService::EcrPublic,
        operation: "GetAuthorizationToken",
        object: "public.ecr.aws",
        body: &serde_json::json!({}),
        repeat: Repeat::Always,
    };
    let answer = session.json_call_in("us-east-1", call).await?;
    let token = answer.pointer("/authorizationData/authorizationToken").and_then(serde_json::Value::as_str);
    let call = Call::new("ecr-public", "GetAuthorizationToken", "public.ecr.aws");
    Ok(decoded(token, secrets).ok_or(AwsError::Malformed { call, expected: "a user and a password in base64" })?)
}

fn decoded(token: Option<&str>, secrets: &SecretObserver) -> Option<Login> {
    let token = token?;
    secrets(&SecretString::from(token));
    let pair = String::from_utf8(BASE64_STANDARD.decode(token).ok()?).ok()?;
    let (username, password) = pair.split_once(':')?;
    let password = SecretString::from(password);
    secrets(&password);
    Some(Login { username: username.to_owned(), password })
}

/// The digest of an image; `None` only when the repository exists and has no such image.
pub(super) async fn digest(
    session: &Session,
    account: Option<String>,
    region: Option<String>,
    image: &ImageRef,
) -> Result<Option<Digest>, RegistryError> {
    let client = client(session, region);
    let call = Call::new("ecr", "DescribeImages", format!("the image {image}"));
    let id = ImageIdentifier::builder()
        .set_image_tag(image.tag().filter(|_| image.digest().is_none()).map(ToString::to_string))
        .set_image_digest(image.digest().map(ToString::to_string))
        .build();
    let operation = || {
        client
            .describe_images()
            .set_registry_id(account.clone())
            .repository_name(image.repository())
            .image_ids(id.clone())
            .send()
    };
    let answer = match session.send(Repeat::Always, &call, operation).await {
        Ok(answer) => answer,
        Err(error) if error.code() == Some("ImageNotFoundException") => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let found = answer.image_details().first().and_then(|detail| detail.image_digest()?.parse().ok());
    Ok(Some(found.ok_or(AwsError::Malformed { call, expected: "the digest of the image" })?))
}

fn client(session: &Session, region: Option<String>) -> Client {
    let mut config = Builder::from(session.sdk_config());
    if let Some(region) = region {
        config = config.region(Region::new(region));
    }
    Client::from_conf(config.build())
}

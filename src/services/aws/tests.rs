//! Purpose: a session against a small OIDC issuer, STS and JSON service on a loopback port.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::*;
use crate::services::{Classified as _, ErrorClass};

/// What the issuer and the services were asked, and how STS answers next.
#[derive(Default)]
struct World {
    tokens: u32,
    presented: Vec<String>,
    refusals: Vec<(u16, &'static str)>,
    json: Vec<(String, bool)>,
}

type Shared = Arc<Mutex<World>>;

fn jwt(number: u32) -> String {
    use base64::Engine as _;
    let claims =
        format!(r#"{{"sub":"repo:acme/shop:ref:refs/heads/main","aud":"sts.amazonaws.com","jti":"{number}"}}"#);
    format!("e30.{}.c2ln", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims))
}

async fn issue(State(world): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    let asked = uri.query().unwrap_or_default().to_owned();
    if headers.get("authorization").is_none_or(|value| value != "Bearer request-token")
        || asked != "api-version=2&audience=sts.amazonaws.com"
    {
        return (StatusCode::UNAUTHORIZED, asked).into_response();
    }
    let mut world = world.lock().unwrap();
    world.tokens += 1;
    axum::Json(json!({ "value": jwt(world.tokens) })).into_response()
}

async fn service(State(world): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let mut world = world.lock().unwrap();
    if let Some(target) = headers.get("x-amz-target") {
        let signed =
            headers.get("authorization").is_some_and(|value| value.to_str().unwrap().contains("Credential=AKIA-TEST/"));
        world.json.push((target.to_str().unwrap().to_owned(), signed));
        let refused = json!({ "__type": "com.amazonaws#ResourceNotFoundException", "message": "no such stream" });
        return (StatusCode::BAD_REQUEST, axum::Json(refused)).into_response();
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let field =
        |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default();
    if field("Action") == "GetCallerIdentity" {
        let xml = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::111122223333:x</Arn>\
                   <UserId>u</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
        return xml.into_response();
    }
    world.presented.push(field("WebIdentityToken"));
    if let Some((status, code)) = world.refusals.pop() {
        let xml =
            format!("<ErrorResponse><Error><Code>{code}</Code><Message>said no</Message></Error></ErrorResponse>");
        return (StatusCode::from_u16(status).unwrap(), xml).into_response();
    }
    let xml = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
               <AccessKeyId>AKIA-TEST</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey><SessionToken>sess</SessionToken>\
               <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
               </AssumeRoleWithWebIdentityResponse>";
    xml.into_response()
}

async fn serve(world: &Shared) -> String {
    let router = Router::new().route("/token", axum::routing::get(issue)).fallback(service).with_state(world.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn connect(world: &Shared, allowed: &[&str], told: &Arc<Mutex<Vec<String>>>) -> Result<Session, AwsError> {
    use secrecy::ExposeSecret as _;
    let address = serve(world).await;
    let base = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client())
        .region(Region::new("eu-central-1"))
        .endpoint_url(&address)
        .retry_config(RetryConfig::disabled())
        .no_credentials()
        .load()
        .await;
    let told = told.clone();
    let options = SessionOptions {
        region: None,
        account: None,
        role: Some(RoleRequest {
            role: "arn:aws:iam::111122223333:role/deploy".into(),
            session_name: "landfall".into(),
            duration: Duration::from_secs(3600),
            ..RoleRequest::default()
        }),
        oidc: Some(OidcEndpoint {
            url: format!("{address}/token?api-version=2"),
            token: "request-token".into(),
            audience: None,
        }),
        keys: None,
        chained: Vec::new(),
        allowed_account_ids: allowed.iter().map(|account| (*account).to_owned()).collect(),
        secrets: Arc::new(move |secret| {
            told.lock().unwrap().push(secret.expose_secret().to_owned());
        }),
    };
    let policy =
        RetryPolicy { attempts: 3, first_wait: Duration::from_millis(1), longest_wait: Duration::from_millis(2) };
    Session::over(base, options, policy).await
}

#[tokio::test]
async fn every_try_brings_a_fresh_token_and_every_secret_is_told() {
    let (world, told) = (Shared::default(), Arc::default());
    world.lock().unwrap().refusals = vec![(503, "ServiceUnavailable"), (400, "IDPCommunicationError")];
    let session = connect(&world, &[], &told).await.unwrap();
    assert_eq!(world.lock().unwrap().tokens, 0, "connecting alone asks nobody");
    assert_eq!(session.credentials().await.unwrap().access_key_id(), "AKIA-TEST");
    assert_eq!(world.lock().unwrap().presented, [jwt(1), jwt(2), jwt(3)]);
    let told = told.lock().unwrap();
    for secret in ["request-token", &jwt(1), &jwt(3), "AKIA-TEST", "s3cret", "sess"] {
        assert!(told.iter().any(|known| known == secret), "{secret} was not told: {told:?}");
    }
}

#[tokio::test]
async fn a_refused_token_is_not_tried_again_and_shows_its_claims() {
    let (world, told) = (Shared::default(), Arc::default());
    world.lock().unwrap().refusals = vec![(403, "AccessDenied"); 3];
    let session = connect(&world, &[], &told).await.unwrap();
    let error = session.credentials().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Forbidden);
    assert_eq!(world.lock().unwrap().presented.len(), 1);
    let AwsError::Role(shared) = &error else { panic!("{error:?}") };
    let role::RoleError::Refused { claims: Some(claims), role, .. } = &*shared.0 else { panic!("{shared:?}") };
    assert_eq!((claims.sub.as_str(), claims.aud.as_str()), ("repo:acme/shop:ref:refs/heads/main", "sts.amazonaws.com"));
    assert_eq!(role, "arn:aws:iam::111122223333:role/deploy");
}

#[tokio::test]
async fn the_same_refusal_is_found_below_an_operation_of_the_sdk() {
    let (world, told) = (Shared::default(), Arc::default());
    world.lock().unwrap().refusals = vec![(403, "AccessDenied"); 3];
    let error = connect(&world, &["111122223333"], &told).await.err().unwrap();
    assert!(matches!(error, AwsError::Role(_)), "{error:?}");
    assert_eq!(world.lock().unwrap().presented.len(), 1, "neither layer retries a refusal");
}

#[tokio::test]
async fn the_account_must_be_an_allowed_one() {
    let (world, told) = (Shared::default(), Arc::default());
    let error = connect(&world, &["999900001111"], &told).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "the credentials belong to account 111122223333, which is not among the allowed accounts (999900001111)"
    );
    assert!(connect(&world, &["999900001111", "111122223333"], &told).await.is_ok());
}

#[tokio::test]
async fn a_json_call_is_signed_and_its_refusal_keeps_the_services_words() {
    let (world, told) = (Shared::default(), Arc::default());
    let session = connect(&world, &[], &told).await.unwrap();
    let call = JsonCall {
        service: JsonService::Logs,
        operation: "GetLogEvents",
        object: "log stream web/1",
        body: &json!({ "logGroupName": "x" }),
        repeat: Repeat::Always,
    };
    let error = session.json_call(call).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    assert_eq!(
        error.to_string(),
        "logs:GetLogEvents on log stream web/1 was refused (ResourceNotFoundException): no such stream"
    );
    assert_eq!(world.lock().unwrap().json, [("Logs_20140328.GetLogEvents".to_owned(), true)]);
}

#[test]
fn a_bare_role_name_needs_exactly_one_account() {
    let one = ["123456789012".to_owned()];
    let known = "210987654321".to_owned();
    let arn = |role, account: Option<&String>, allowed: &[String]| role_arn(role, "cn-north-1", account, allowed);
    assert_eq!(arn("deploy", None, &one).unwrap(), "arn:aws-cn:iam::123456789012:role/deploy");
    assert_eq!(arn("deploy", Some(&known), &one).unwrap(), "arn:aws-cn:iam::210987654321:role/deploy");
    assert_eq!(arn("arn:aws:iam::1:role/x", None, &[]).unwrap(), "arn:aws:iam::1:role/x");
    for accounts in [&[][..], &["1".to_owned(), "2".to_owned()]] {
        assert!(matches!(arn("deploy", None, accounts), Err(AwsError::IncompleteRole(_))));
    }
}

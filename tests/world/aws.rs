//! Purpose: what all AWS skins share: who is asking, what is denied, how errors and ids look.

use std::collections::BTreeMap;

use ::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::clock::Moment;
use super::faults::matches;
use super::http::{Door, Reply, Request, Skin, form_pairs};
use super::state::State;
use super::sts::Role;

/// Keys that are valid from the start and never expire.
pub const STATIC_KEY_ID: &str = "AKIAWORLDSTATICKEY00";
/// Their secret half.
pub const STATIC_SECRET: &str = "world/static/secret/key/0000000000000000";

/// The account: keys, roles, denials.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Aws {
    pub account: String,
    pub region: String,
    /// Valid keys by access key id.
    pub keys: BTreeMap<String, Key>,
    /// Roles by ARN.
    pub roles: BTreeMap<String, Role>,
    /// Globs of actions (`ecs:ListServiceDeployments`) that nobody may do.
    pub denied: Vec<String>,
    /// Globs of actions that this AWS does not know, as emulators and old regions do not.
    pub unsupported: Vec<String>,
    /// Signatures whose time is more than five minutes off are refused, as AWS refuses them.
    pub strict_clock: bool,
    /// How many requests each issued session serves before it counts as expired.
    pub session_uses: Option<u32>,
    pub(super) counter: u64,
}

/// One access key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Key {
    /// Who it speaks for, an ARN.
    pub arn: String,
    /// The session token that must come with it.
    pub session_token: Option<String>,
    /// When it ends.
    pub expires_at: Option<Moment>,
    /// Requests served so far.
    pub uses: u32,
}

impl Default for Aws {
    fn default() -> Self {
        let arn = "arn:aws:iam::123456789012:user/world".to_owned();
        Self {
            account: "123456789012".into(),
            region: "eu-central-1".into(),
            keys: BTreeMap::from([(STATIC_KEY_ID.into(), Key { arn, ..Key::default() })]),
            roles: BTreeMap::new(),
            denied: Vec::new(),
            unsupported: Vec::new(),
            strict_clock: false,
            session_uses: None,
            counter: 0,
        }
    }
}

impl Aws {
    /// `arn:aws:<service>:<region>:<account>:<resource>`.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }

    /// Refuses every action that matches, from now on.
    pub fn deny(&mut self, action: &str) {
        self.denied.push(action.to_owned());
    }

    /// Forgets every denial.
    pub fn allow_all(&mut self) {
        self.denied.clear();
    }

    /// Makes actions unknown, as on an emulator.
    pub fn lacks(&mut self, action: &str) {
        self.unsupported.push(action.to_owned());
    }

    /// A number that was not given out before.
    pub fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// 32 hexadecimal digits that were not given out before; recognisable, not random.
    pub fn next_id(&mut self) -> String {
        format!("{:032x}", 0xabcd_0000_0000_0000_0000_0000_0000_0000_u128 + u128::from(self.next()))
    }
}

/// An error of an AWS service.
#[derive(Debug, Clone)]
pub struct AwsError {
    pub status: u16,
    pub code: String,
    pub message: String,
}

/// What a JSON operation answers.
pub type Answer = Result<Value, AwsError>;

impl AwsError {
    /// A 400 with a code.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.to_owned(), message: message.into() }
    }

    /// As `application/x-amz-json-1.1`.
    pub fn as_json(&self) -> Reply {
        // The casing differs between services and errors; denials come with a capital letter.
        let key = if self.code.starts_with("AccessDenied") { "Message" } else { "message" };
        let body = json!({ "__type": self.code, key: self.message });
        Reply::bytes(self.status, "application/x-amz-json-1.1", body.to_string()).header("x-amzn-requestid", REQUEST_ID)
    }

    /// As the query protocol's XML.
    pub fn as_xml(&self) -> Reply {
        let fault = if self.status < 500 { "Sender" } else { "Receiver" };
        let (code, message) = (xml_escape(&self.code), xml_escape(&self.message));
        let body = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{fault}</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
        );
        Reply::bytes(self.status, "text/xml", body)
    }
}

/// The id every answer carries.
pub const REQUEST_ID: &str = "11111111-2222-3333-4444-555555555555";

/// Which service a request behind a door is for, and which operation.
pub fn skin_and_target(door: Door, headers: &HeaderMap, body: &[u8]) -> (Skin, Option<String>) {
    let skin = match door {
        Door::Github => Skin::Github,
        Door::Codeload => Skin::Codeload,
        Door::Oidc => Skin::Oidc,
        Door::Registry => Skin::Registry,
        Door::Health => Skin::Health,
        Door::Webhook => Skin::Webhook,
        Door::Results => Skin::Results,
        Door::Blobs => Skin::Blobs,
        Door::Control => Skin::Control,
        Door::Aws => return aws_skin(headers, body),
    };
    (skin, None)
}

fn aws_skin(headers: &HeaderMap, body: &[u8]) -> (Skin, Option<String>) {
    if let Some((service, operation)) =
        headers.get("x-amz-target").and_then(|v| v.to_str().ok()).and_then(|v| v.split_once('.'))
    {
        let skin = match service {
            "AmazonEC2ContainerServiceV20141113" => Skin::Ecs,
            "AmazonEC2ContainerRegistry_V20150921" => Skin::Ecr,
            "SpencerFrontendService" => Skin::EcrPublic,
            "Logs_20140328" => Skin::Logs,
            "AmazonSSM" => Skin::Ssm,
            "secretsmanager" => Skin::Secrets,
            _ => Skin::Aws,
        };
        return (skin, Some(operation.to_owned()));
    }
    let form: BTreeMap<String, String> = form_pairs(&String::from_utf8_lossy(body)).into_iter().collect();
    let skin = match form.get("Version").map(String::as_str) {
        Some("2011-06-15") => Skin::Sts,
        Some("2015-12-01") => Skin::Elb,
        Some("2010-08-01") => Skin::Alarms,
        _ => Skin::Aws,
    };
    (skin, form.get("Action").cloned())
}

/// Runs a JSON 1.1 operation: identity, denial, then the operation itself.
pub fn json(state: &mut State, request: &Request, handle: fn(&mut State, &str, &Value) -> Option<Answer>) -> Reply {
    let operation = request.target.clone().unwrap_or_default();
    if let Err(refused) = admit(state, request, &operation) {
        return refused.as_json();
    }
    match handle(state, &operation, &request.json()) {
        None => Reply { unknown: true, ..unknown_operation(&operation).as_json() },
        Some(Err(error)) => error.as_json(),
        Some(Ok(body)) => {
            Reply::bytes(200, "application/x-amz-json-1.1", body.to_string()).header("x-amzn-requestid", REQUEST_ID)
        }
    }
}

fn unknown_operation(operation: &str) -> AwsError {
    AwsError::new("UnknownOperationException", format!("the world knows no operation {operation}"))
}

/// Checks keys and denials of a signed request; gives the caller's ARN.
pub fn admit(state: &mut State, request: &Request, operation: &str) -> Result<String, AwsError> {
    let arn = caller(state, request)?;
    let service = iam_prefix(request.skin);
    let action = format!("{service}:{operation}");
    if state.aws.unsupported.iter().any(|glob| matches(glob, &action)) {
        return Err(unknown_operation(operation));
    }
    if state.aws.denied.iter().any(|glob| matches(glob, &action)) {
        return Err(AwsError::new(
            "AccessDeniedException",
            format!(
                "User: {arn} is not authorized to perform: {action} on resource: * because no identity-based policy \
                 allows the {action} action"
            ),
        ));
    }
    Ok(arn)
}

fn iam_prefix(skin: Skin) -> &'static str {
    match skin {
        Skin::Ecs => "ecs",
        Skin::Ecr => "ecr",
        Skin::Logs => "logs",
        Skin::Ssm => "ssm",
        Skin::Secrets => "secretsmanager",
        Skin::Elb => "elasticloadbalancing",
        Skin::Alarms => "cloudwatch",
        Skin::EcrPublic => "ecr-public",
        _ => "sts",
    }
}

/// The name a signature is scoped to.
fn signing_name(skin: Skin) -> &'static str {
    match skin {
        Skin::Alarms => "monitoring",
        skin => iam_prefix(skin),
    }
}

/// Who signed a request: `Authorization: AWS4-HMAC-SHA256 Credential=<id>/<date>/<region>/<service>/aws4_request, …`.
/// The signature itself is not checked, its scope and the session token are.
fn caller(state: &mut State, request: &Request) -> Result<String, AwsError> {
    let missing = || AwsError {
        status: 403,
        code: "MissingAuthenticationTokenException".into(),
        message: "Missing Authentication Token".into(),
    };
    let header = request.header("authorization").ok_or_else(missing)?;
    let scope = header.split_once("Credential=").and_then(|(_, rest)| rest.split_once(',')).ok_or_else(missing)?.0;
    let parts: Vec<&str> = scope.split('/').collect();
    let [id, _date, _region, service, "aws4_request"] = parts.as_slice() else {
        return Err(missing());
    };
    if *service != signing_name(request.skin) {
        state.violation(format!("{} request signed for {service}", request.skin));
    }
    let (now, limit) = (state.clock.now(), state.aws.session_uses);
    if state.aws.strict_clock {
        timely(request, now)?;
    }
    let unknown =
        || AwsError::new("UnrecognizedClientException", "The security token included in the request is invalid.");
    let key = state.aws.keys.get_mut(*id).ok_or_else(unknown)?;
    if key.session_token.as_deref() != request.header("x-amz-security-token") {
        return Err(unknown());
    }
    key.uses += 1;
    let used_up = key.session_token.is_some() && limit.is_some_and(|limit| key.uses > limit);
    if used_up || key.expires_at.is_some_and(|end| end <= now) {
        return Err(AwsError::new("ExpiredTokenException", "The security token included in the request is expired"));
    }
    Ok(key.arn.clone())
}

/// The signature's time must be within five minutes of ours (IAM documentation, "Troubleshoot Signature Version 4").
fn timely(request: &Request, now: Moment) -> Result<(), AwsError> {
    let given = request.header("x-amz-date").unwrap_or_default();
    let signed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", given);
    let signed = signed.ok().and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC).ok()).map(|time| time.timestamp());
    if signed.is_some_and(|signed| now.0.duration_since(signed).abs().as_secs() <= 300) {
        return Ok(());
    }
    let code = if request.skin == Skin::Sts { "SignatureDoesNotMatch" } else { "InvalidSignatureException" };
    let now = now.0.strftime("%Y%m%dT%H%M%SZ");
    let message = format!("Signature expired: {given} is now earlier than {now} ({now} - 5 min.)");
    Err(AwsError { status: 403, ..AwsError::new(code, message) })
}

/// Text for an XML document.
pub fn xml_escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text member of a request.
pub fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A list of texts of a request.
pub fn texts(body: &Value, name: &str) -> Vec<String> {
    let list = body.get(name).and_then(Value::as_array);
    list.map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default()
}

/// Cuts one page out of a listing; `nextToken` is the offset.
pub fn page<T: Clone>(all: &[T], body: &Value, default_size: usize) -> (Vec<T>, Option<String>) {
    let start: usize = text(body, "nextToken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let size = body.get("maxResults").and_then(Value::as_u64).map_or(default_size, |n| usize::try_from(n).unwrap_or(1));
    let end = all.len().min(start + size);
    let next = (end < all.len()).then(|| end.to_string());
    (all.get(start..end).unwrap_or_default().to_vec(), next)
}

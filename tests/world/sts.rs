//! Purpose: STS: the query protocol, trust policies, sessions that end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::aws::{AwsError, Key, REQUEST_ID, admit, xml_escape};
use super::faults::matches;
use super::http::{Reply, Request};
use super::state::State;

/// A role and whom it trusts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Role {
    /// Globs of OIDC subjects that may assume it.
    pub subjects: Vec<String>,
    /// Audiences of tokens that may assume it.
    pub audiences: Vec<String>,
    /// Globs of ARNs that may assume it by AssumeRole.
    pub principals: Vec<String>,
    /// The external id that AssumeRole must bring.
    pub external_id: Option<String>,
    /// Longest session, in seconds.
    pub longest_session: u64,
}

impl Default for Role {
    fn default() -> Self {
        Self {
            subjects: Vec::new(),
            audiences: vec!["sts.amazonaws.com".into()],
            principals: Vec::new(),
            external_id: None,
            longest_session: 3600,
        }
    }
}

impl Role {
    /// A role for OIDC tokens whose subject matches a glob.
    pub fn for_subject(glob: &str) -> Self {
        Self { subjects: vec![glob.to_owned()], ..Self::default() }
    }
}

/// One form-encoded operation.
pub fn handle(state: &mut State, request: &Request) -> Reply {
    let form = request.form();
    let operation = request.target.clone().unwrap_or_default();
    let result = match operation.as_str() {
        "AssumeRoleWithWebIdentity" => web_identity(state, &form),
        "AssumeRole" => admitted(state, request, "AssumeRole").and_then(|arn| assume(state, &form, &arn)),
        "GetCallerIdentity" => admitted(state, request, "GetCallerIdentity").map(|arn| identity(state, &arn)),
        _ => {
            return Reply { unknown: true, ..AwsError::new("InvalidAction", "unknown action").as_xml() };
        }
    };
    match result {
        Err(error) => error.as_xml(),
        Ok(inner) => Reply::bytes(200, "text/xml", wrapped(&operation, &inner)),
    }
}

/// STS words some refusals differently from the JSON services.
fn admitted(state: &mut State, request: &Request, operation: &str) -> Result<String, AwsError> {
    admit(state, request, operation).map_err(|error| {
        let code = match error.code.as_str() {
            "UnrecognizedClientException" => "InvalidClientTokenId",
            "ExpiredTokenException" => "ExpiredToken",
            "AccessDeniedException" => "AccessDenied",
            "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
            other => other,
        };
        AwsError { status: 403, code: code.to_owned(), message: error.message }
    })
}

fn wrapped(operation: &str, inner: &str) -> String {
    format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result>{inner}\
         </{operation}Result><ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></{operation}Response>"
    )
}

fn denied(operation: &str) -> AwsError {
    AwsError { status: 403, code: "AccessDenied".into(), message: format!("Not authorized to perform sts:{operation}") }
}

fn web_identity(state: &mut State, form: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let value = |name: &str| form.get(name).cloned().unwrap_or_default();
    let (jwt, role_arn) = (value("WebIdentityToken"), value("RoleArn"));
    let (now, single_use) = (state.clock.now(), state.oidc.single_use);
    let invalid = |why: &str| AwsError::new("InvalidIdentityToken", why);
    let Some(token) = state.oidc.issued.iter_mut().find(|token| token.jwt == jwt) else {
        return Err(invalid("Couldn't retrieve verification key from your identity provider"));
    };
    token.uses += 1;
    if token.expires_at <= now {
        let message = format!(
            "Token expired: current date/time {} must be before the expiration date/time{}",
            now.as_second(),
            token.expires_at.as_second()
        );
        return Err(AwsError::new("ExpiredTokenException", message));
    }
    if single_use && token.uses > 1 {
        return Err(invalid("the token was used before"));
    }
    let token = token.clone();
    let operation = "AssumeRoleWithWebIdentity";
    let role = state.aws.roles.get(&role_arn).cloned().ok_or_else(|| denied(operation))?;
    if !role.audiences.contains(&token.audience) {
        return Err(invalid("Incorrect token audience"));
    }
    if !role.subjects.iter().any(|glob| matches(glob, &token.subject)) {
        return Err(denied(operation));
    }
    let session = open_session(state, &role, &role_arn, form)?;
    Ok(format!(
        "<SubjectFromWebIdentityToken>{}</SubjectFromWebIdentityToken><Audience>{}</Audience><Provider>{}</Provider>{session}",
        xml_escape(&token.subject),
        xml_escape(&token.audience),
        "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com",
    ))
}

fn assume(state: &mut State, form: &BTreeMap<String, String>, caller: &str) -> Result<String, AwsError> {
    let role_arn = form.get("RoleArn").cloned().unwrap_or_default();
    let refused = AwsError {
        status: 403,
        code: "AccessDenied".into(),
        message: format!("User: {caller} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"),
    };
    let Some(role) = state.aws.roles.get(&role_arn).cloned() else {
        return Err(refused);
    };
    let known = role.principals.iter().any(|glob| matches(glob, caller));
    if !known || role.external_id.as_ref().is_some_and(|id| form.get("ExternalId") != Some(id)) {
        return Err(refused);
    }
    open_session(state, &role, &role_arn, form)
}

fn open_session(
    state: &mut State,
    role: &Role,
    role_arn: &str,
    form: &BTreeMap<String, String>,
) -> Result<String, AwsError> {
    let name = form.get("RoleSessionName").cloned().unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&name.len()) || !name.chars().all(allowed) {
        return Err(AwsError::new("ValidationError", "Value at 'roleSessionName' failed to satisfy constraint"));
    }
    let seconds: u64 = form.get("DurationSeconds").and_then(|text| text.parse().ok()).unwrap_or(3600);
    if seconds < 900 {
        return Err(AwsError::new("ValidationError", "Value at 'durationSeconds' failed to satisfy constraint"));
    }
    if seconds > role.longest_session {
        let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err(AwsError::new("ValidationError", message));
    }
    let number = state.aws.next();
    let id = format!("ASIAWORLDSESSION{number:04}");
    let token = format!("world-session-token-{number:04}");
    let secret = format!("world/session/secret/{number:04}");
    let expires_at = state.clock.now() + Duration::from_secs(seconds);
    let resource = role_arn.split_once(":role/").map_or(role_arn, |(_, name)| name);
    let role_name = resource.rsplit('/').next().unwrap_or(resource);
    let account = role_arn.split(':').nth(4).unwrap_or_default();
    let arn = format!("arn:aws:sts::{account}:assumed-role/{role_name}/{name}");
    let key = Key { arn: arn.clone(), session_token: Some(token.clone()), expires_at: Some(expires_at), uses: 0 };
    state.aws.keys.insert(id.clone(), key);
    Ok(format!(
        "<AssumedRoleUser><AssumedRoleId>AROAWORLDROLE:{name}</AssumedRoleId><Arn>{arn}</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{expires_at}</Expiration></Credentials>"
    ))
}

fn identity(state: &State, arn: &str) -> String {
    let account = arn.split(':').nth(4).filter(|account| !account.is_empty()).unwrap_or(&state.aws.account);
    format!("<Arn>{arn}</Arn><UserId>AIDAWORLD</UserId><Account>{account}</Account>")
}

//! Purpose: GitHub's OIDC token endpoint as a job sees it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::clock::Moment;
use super::http::{Reply, Request};
use super::state::State;

/// The issuer of every token.
pub const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// The token service.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Oidc {
    /// What `ACTIONS_ID_TOKEN_REQUEST_TOKEN` would hold.
    pub bearer: String,
    /// The subject of every token.
    pub subject: String,
    /// More claims, laid over the usual ones.
    pub claims: Map<String, Value>,
    /// Seconds a token is good for.
    pub lifetime: u32,
    /// A token is accepted by STS once, then never again.
    pub single_use: bool,
    /// Every token given out.
    pub issued: Vec<Issued>,
}

/// One token given out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Issued {
    pub jwt: String,
    pub subject: String,
    pub audience: String,
    pub expires_at: Moment,
    /// How often STS saw it.
    pub uses: u32,
}

impl Default for Oidc {
    fn default() -> Self {
        Self {
            bearer: "world-oidc-bearer".into(),
            subject: "repo:acme/app:ref:refs/heads/main".into(),
            claims: Map::new(),
            lifetime: 300,
            single_use: false,
            issued: Vec::new(),
        }
    }
}

/// `GET /idtoken/<job>?api-version=2.0[&audience=…]`.
pub fn handle(state: &mut State, request: &Request) -> Reply {
    let parts = request.segments();
    if request.method != "GET" || parts.first().map(String::as_str) != Some("idtoken") {
        return Reply::unknown(request);
    }
    if request.bearer() != Some(state.oidc.bearer.as_str()) {
        return Reply::json(401, &json!({ "message": "Unauthorized" }));
    }
    if request.query("api-version").is_none() {
        state.violation("oidc: the query string of the request URL was lost");
        return Reply::json(400, &json!({ "message": "api-version is missing" }));
    }
    let audience = request.query("audience").unwrap_or("https://github.com/acme").to_owned();
    Reply::json(200, &json!({ "value": issue(state, &audience) }))
}

fn issue(state: &mut State, audience: &str) -> String {
    let now = state.clock.now();
    let expires_at = now + std::time::Duration::from_secs(u64::from(state.oidc.lifetime));
    let subject = state.oidc.subject.clone();
    let mut claims = json!({
        "jti": format!("jti-{}", state.oidc.issued.len() + 1),
        "sub": subject,
        "aud": audience,
        "iss": ISSUER,
        "iat": now.as_second(),
        "nbf": now.as_second() - 300,
        "exp": expires_at.as_second(),
        "repository": "acme/app",
        "ref": "refs/heads/main",
    });
    for (name, value) in &state.oidc.claims {
        claims[name] = value.clone();
    }
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = encode(&json!({ "typ": "JWT", "alg": "RS256", "kid": "world" }));
    let jwt = format!("{header}.{}.{}", encode(&claims), URL_SAFE_NO_PAD.encode("not a signature"));
    let issued = Issued { jwt: jwt.clone(), subject, audience: audience.to_owned(), expires_at, uses: 0 };
    state.oidc.issued.push(issued);
    jwt
}

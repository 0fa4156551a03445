//! Purpose: a credential goes to the host that it was made for, and to no other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::aws::STATIC_SECRET;
use super::http::{Request, Skin};
use super::images::Auth;
use super::state::State;

/// More of a body is not looked at: larger ones are layers and archives.
const LOOKED_AT: usize = 256 * 1024;

/// Passwords below this length are not looked for.
const SHORTEST: usize = 8;

const AWS: &[Skin] = &[
    Skin::Sts,
    Skin::Ecs,
    Skin::Ecr,
    Skin::EcrPublic,
    Skin::Logs,
    Skin::Ssm,
    Skin::Secrets,
    Skin::Elb,
    Skin::Alarms,
    Skin::Aws,
];

/// The first credential of this world in a request that is none of its business.
pub fn find(state: &State, request: &Request) -> Option<String> {
    if request.skin == Skin::Control {
        return None;
    }
    let texts = texts(request);
    let strays =
        |secret: &str, home: &[Skin]| !home.contains(&request.skin) && texts.iter().any(|text| text.contains(secret));
    let found = credentials(state).into_iter().find(|(secret, home)| strays(secret, home));
    found.map(|(secret, _)| format!("the credential {secret} was sent to {}", request.skin))
}

/// Each with the skins that may see it. What only signs requests is for nobody's eyes.
fn credentials(state: &State) -> Vec<(&str, &'static [Skin])> {
    let mut known: Vec<(&str, &[Skin])> = vec![(STATIC_SECRET, &[]), (&state.oidc.bearer, &[Skin::Oidc])];
    known.push(("world/session/secret/", &[]));
    known.push(("world-session-token-", AWS));
    known.extend(state.oidc.issued.iter().map(|token| (token.jwt.as_str(), [Skin::Sts].as_slice())));
    let password = match &state.images.auth {
        Auth::Bearer { password, .. } | Auth::Basic { password, .. } => password.as_str(),
        Auth::Open => "",
    };
    // A word of everyday would be found everywhere.
    if password.len() >= SHORTEST {
        known.push((password, &[Skin::Registry, Skin::Github]));
    }
    known.extend(state.images.tokens.keys().map(|token| (token.as_str(), [Skin::Registry].as_slice())));
    // A job's token is GHCR's password as well.
    let tokens = state.github.tokens.keys().map(String::as_str);
    known.extend(tokens.map(|token| (token, [Skin::Github, Skin::Registry].as_slice())));
    known
}

/// What was sent, as it was and with the usual codings taken off.
fn texts(request: &Request) -> Vec<String> {
    let mut texts = vec![request.path.clone(), plain(&request.path)];
    texts.extend(request.query.iter().map(|(name, value)| format!("{name}={value}")));
    for value in request.headers.values() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if let Some(coded) = value.strip_prefix("Basic ") {
            texts.extend(STANDARD.decode(coded).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
        }
        texts.push(value);
    }
    let body = String::from_utf8_lossy(&request.body[..request.body.len().min(LOOKED_AT)]).into_owned();
    texts.extend(body.contains('%').then(|| plain(&body)));
    texts.push(body);
    texts
}

fn plain(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

//! Purpose: what the world remembers of each request, secrets left out.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::http::{Request, Skin};

/// One request as a test may look at it.
#[derive(Debug, Clone, Serialize)]
pub struct Recorded {
    /// The skin that was asked.
    pub skin: Skin,
    /// The HTTP method.
    pub method: String,
    /// The path as sent, still percent-encoded.
    pub path: String,
    /// The query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The AWS operation, when there is one.
    pub target: Option<String>,
    /// Headers by lower-case name; credentials are reduced to their scheme.
    pub headers: BTreeMap<String, String>,
    /// The body as text (lossy, at most 256 KiB).
    pub body: String,
    /// The status answered; 0 while held, or when the connection was cut.
    pub status: u16,
    /// Bytes of the answer's body.
    pub answered: usize,
}

const SECRET_HEADERS: [&str; 4] = ["authorization", "x-amz-security-token", "cookie", "proxy-authorization"];

impl Recorded {
    /// Remembers a request.
    pub fn of(request: &Request) -> Self {
        let headers = request.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let secret = SECRET_HEADERS.contains(&name.as_str());
            let shown = if secret { scheme_only(&value) } else { value };
            (name.as_str().to_owned(), shown)
        });
        let end = request.body.len().min(256 * 1024);
        Self {
            skin: request.skin,
            method: request.method.to_string(),
            path: request.path.clone(),
            query: request.query.clone(),
            target: request.target.clone(),
            headers: headers.collect(),
            body: String::from_utf8_lossy(&request.body[..end]).into_owned(),
            status: 0,
            answered: 0,
        }
    }

    /// The AWS operation, else method and path.
    pub fn call(&self) -> String {
        self.target.clone().unwrap_or_else(|| format!("{} {}", self.method, self.path))
    }

    /// The body as JSON; null when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The first query parameter of a name.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn scheme_only(value: &str) -> String {
    match value.split_once(' ') {
        Some((scheme, _)) => format!("{scheme} ***"),
        None => "***".to_owned(),
    }
}

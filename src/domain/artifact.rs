//! Purpose: names, types and owners of workflow artifacts.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The run and job by which the artifact service knows us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendIds {
    /// `workflow_run_backend_id`.
    pub run: String,
    /// `workflow_job_run_backend_id`.
    pub job: String,
}

/// Why the runtime token does not say who we are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three parts, or the middle one is no JSON.
    #[error("the runtime token is not a JSON web token")]
    NotAToken,
    /// No scope `Actions.Results:<run>:<job>`.
    #[error("the runtime token has no scope for the artifact service")]
    NoScope,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    scp: String,
}

impl BackendIds {
    /// Reads them from the runtime token, whose signature is the service's business (actions/toolkit,
    /// `artifact/src/internal/shared/util.ts`).
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn of_token(token: &str) -> Result<Self, TokenError> {
        let payload = token.trim().split('.').nth(1).ok_or(TokenError::NotAToken)?;
        let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).map_err(|_| TokenError::NotAToken)?;
        let claims: Claims = serde_json::from_slice(&bytes).map_err(|_| TokenError::NotAToken)?;
        claims.scp.split(' ').find_map(of_scope).ok_or(TokenError::NoScope)
    }
}

fn of_scope(scope: &str) -> Option<BackendIds> {
    let mut parts = scope.split(':');
    let (name, run, job) = (parts.next()?, parts.next()?, parts.next()?);
    (name == "Actions.Results" && !run.is_empty() && !job.is_empty() && parts.next().is_none())
        .then(|| BackendIds { run: run.to_owned(), job: job.to_owned() })
}

/// The name of an artifact: what the service and every file system accept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactName(String);

/// A text is no artifact's name. The message fits behind "artifact …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is '{0}', which is no artifact's name: 1 to 260 characters but none of \" : < > | * ? \\ / and line breaks")]
pub struct ArtifactNameError(String);

impl ArtifactName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ArtifactName {
    type Err = ArtifactNameError;

    fn from_str(text: &str) -> Result<Self, ArtifactNameError> {
        let forbidden = |c: char| "\":<>|*?\\/".contains(c) || c.is_control();
        if text.is_empty() || text.chars().count() > 260 || text.contains(forbidden) {
            return Err(ArtifactNameError(text.chars().take(300).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ArtifactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The type under which a file is stored.
#[must_use]
pub fn mime_of(file: &str) -> &'static str {
    match file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).as_deref() {
        Some("tar") => "application/x-tar",
        Some("gz" | "tgz") => "application/gzip",
        Some("zst") => "application/zstd",
        Some("zip") => "application/zip",
        Some("json" | "sarif") => "application/json",
        Some("txt" | "log" | "md") => "text/plain",
        _ => "application/octet-stream",
    }
}

/// A file's name out of `Content-Disposition`; the encoded form goes first (RFC 6266). Never a path.
#[must_use]
pub fn file_name(disposition: &str) -> Option<String> {
    let parameter = |wanted: &str| {
        disposition.split(';').find_map(|part| {
            let (key, value) = part.trim().split_once('=')?;
            key.eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let decoded = |value: String| {
        let coded = value.rsplit_once('\'').map_or(value.as_str(), |(_, coded)| coded).to_owned();
        percent_encoding::percent_decode_str(&coded).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    let name = parameter("filename*").and_then(decoded).or_else(|| parameter("filename"))?;
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    (!name.is_empty() && name != "." && name != "..").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn finds_who_we_are() {
        let found =
            BackendIds::of_token(&token(r#"{"scp":"Actions.Example Actions.Results:run-1:job-2 x:y:z"}"#)).unwrap();
        assert_eq!(found, BackendIds { run: "run-1".into(), job: "job-2".into() });
        assert_eq!(BackendIds::of_token(&token(r#"{"scp":"Actions.Results:a"}"#)), Err(TokenError::NoScope));
        assert_eq!(BackendIds::of_token(&token("{}")), Err(TokenError::NoScope));
        for wrong in ["", "a", "a.b.c", "a.!.c", &token("no json")] {
            assert_eq!(BackendIds::of_token(wrong), Err(TokenError::NotAToken), "{wrong}");
        }
    }

    #[test]
    fn names_and_types() {
        assert!("pr-image-12".parse::<ArtifactName>().is_ok());
        for wrong in ["", "a/b", "a\\b", "a\nb", "a:b", "*"] {
            assert!(wrong.parse::<ArtifactName>().is_err(), "{wrong}");
        }
        assert_eq!(mime_of("image.tar"), "application/x-tar");
        assert_eq!(mime_of("image.tar.zst"), "application/zstd");
        assert_eq!(mime_of("image"), "application/octet-stream");
    }

    #[test]
    fn a_disposition_never_gives_a_path() {
        assert_eq!(file_name("attachment; filename=\"a.tar\"; filename*=UTF-8''b%20c.tar").as_deref(), Some("b c.tar"));
        assert_eq!(file_name("attachment; filename=\"../../etc/passwd\"").as_deref(), Some("passwd"));
        assert_eq!(file_name("attachment; filename=.."), None);
        assert_eq!(file_name("inline"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(text in ".{0,60}") {
            let _ = BackendIds::of_token(&text);
            if let Some(name) = file_name(&text) {
                proptest::prop_assert!(!name.contains('/'));
            }
        }
    }
}

//! Purpose: bollard's client, with what it leaves out put right.
//!
//! - bollard 0.21 sends no API version, so that the engine answers by its own newest one: answers would change shape with
//!   the engine, and Docker means to drop unversioned requests. Every request here names one version that both know.
//! - bollard encodes `X-Registry-Auth` with the standard base64 alphabet; the engine decodes the URL alphabet, and older
//!   ones push anonymously when that fails. The header is rewritten.

use bollard::{API_DEFAULT_VERSION, Docker};
use http::HeaderValue;

use super::{Endpoint, EngineError, EngineInfo, OLDEST_ENGINE, Store};

/// The newest API version that this code has been tried with.
const NEWEST_API: Version = (1, 48);
/// The API version of the oldest engine that is supported (20.10).
const OLDEST_API: Version = (1, 41);

/// Seconds until an answer must have begun. Pulls and pushes begin to answer at once and then take their time.
const ANSWER_TIMEOUT: u64 = 120;

/// Major and minor of an API version.
pub(super) type Version = (u32, u32);

/// Connects and asks the engine what it is.
pub(super) async fn connect(endpoint: &Endpoint) -> Result<(Docker, EngineInfo), EngineError> {
    let silent = |source| EngineError::NotAnswering { endpoint: endpoint.to_string(), source: Box::new(source) };
    let first = open(endpoint).map_err(silent)?;
    let version = first.version().await.map_err(silent)?;
    let newest = version.api_version.as_deref().and_then(parse_version).unwrap_or_default();
    let found = version.version.unwrap_or_else(|| "of unknown version".to_owned());
    if newest < OLDEST_API {
        return Err(EngineError::TooOld { endpoint: endpoint.to_string(), found, needed: OLDEST_ENGINE });
    }
    let oldest = version.min_api_version.as_deref().and_then(parse_version).unwrap_or(OLDEST_API);
    let docker = pinned(first, newest.min(NEWEST_API).max(oldest));
    let info = docker.info().await.map_err(silent)?;
    let containerd = info.driver_status.iter().flatten().flatten().any(|word| word == "io.containerd.snapshotter.v1");
    let info = EngineInfo {
        version: found,
        api_version: format!("{}.{}", newest.0, newest.1),
        store: if containerd { Store::Containerd } else { Store::Graph },
        platform: format!("{}/{}", version.os.unwrap_or_default(), version.arch.unwrap_or_default()),
    };
    Ok((docker, info))
}

fn open(endpoint: &Endpoint) -> Result<Docker, bollard::errors::Error> {
    match endpoint {
        Endpoint::Unix(path) => Docker::connect_with_unix(&path.to_string_lossy(), ANSWER_TIMEOUT, API_DEFAULT_VERSION),
        Endpoint::Tcp(address) => {
            Docker::connect_with_http(&format!("tcp://{address}"), ANSWER_TIMEOUT, API_DEFAULT_VERSION)
        }
    }
}

/// The same client, whose requests name an API version and hold credentials that the engine can read.
fn pinned(docker: Docker, version: Version) -> Docker {
    docker.with_request_modifier(move |mut request| {
        if let Some(uri) = versioned(request.uri(), version) {
            *request.uri_mut() = uri;
        }
        if let Some(value) = request.headers().get(AUTH).and_then(url_alphabet) {
            request.headers_mut().insert(AUTH, value);
        }
        request
    })
}

const AUTH: &str = "x-registry-auth";

fn versioned(uri: &http::Uri, (major, minor): Version) -> Option<http::Uri> {
    let mut parts = uri.clone().into_parts();
    let path = parts.path_and_query.as_ref()?.as_str();
    parts.path_and_query = Some(format!("/v{major}.{minor}{path}").parse().ok()?);
    http::Uri::from_parts(parts).ok()
}

fn url_alphabet(value: &HeaderValue) -> Option<HeaderValue> {
    let text = value.to_str().ok()?.replace('+', "-").replace('/', "_");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

pub(super) fn parse_version(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_name_a_version_and_keep_their_query() {
        let uri = http::Uri::from_static("http://host:2375/images/a%2Fb/json?x=1");
        assert_eq!(versioned(&uri, (1, 41)).unwrap(), "http://host:2375/v1.41/images/a%2Fb/json?x=1");
    }

    #[test]
    fn credentials_use_the_alphabet_that_the_engine_reads() {
        let value = url_alphabet(&HeaderValue::from_static("ab+c/d==")).unwrap();
        assert_eq!(value, "ab-c_d==");
        assert!(value.is_sensitive());
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(parse_version("1.9").unwrap() < parse_version("1.41").unwrap());
        assert_eq!(parse_version("latest"), None);
    }
}

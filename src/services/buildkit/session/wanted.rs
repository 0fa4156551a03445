//! Purpose: what the builder wants of a folder, read from the metadata of its request.

use tonic::metadata::MetadataMap;

/// What a request asks for, from its metadata.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The folder, by the name that the session has for it.
    pub(super) name: String,
    /// Patterns of what is wanted; empty: everything.
    pub(super) includes: Vec<Vec<u8>>,
    /// Patterns of what is not.
    pub(super) excludes: Vec<Vec<u8>>,
    /// Paths that are wanted together with whatever links on them point to.
    pub(super) follow: Vec<Vec<u8>>,
}

impl Wanted {
    pub(super) fn read(metadata: &MetadataMap) -> Self {
        let name = values(metadata, "dir-name").pop().unwrap_or_default();
        Self {
            name: String::from_utf8_lossy(&name).into_owned(),
            includes: values(metadata, "include-patterns"),
            excludes: values(metadata, "exclude-patterns"),
            follow: values(metadata, "followpaths"),
        }
    }
}

/// The values of a key. BuildKit 0.20 and newer percent-encode them when one is not ASCII; older ones send them raw.
fn values(metadata: &MetadataMap, key: &str) -> Vec<Vec<u8>> {
    let encoded = metadata.get(format!("{key}-encoded")).is_some_and(|flag| flag.as_encoded_bytes() == b"1");
    let decode = |value: &[u8]| {
        if !encoded {
            return value.to_vec();
        }
        let spaced: Vec<u8> = value.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        percent_encoding::percent_decode(&spaced).collect()
    };
    metadata.get_all(key).iter().map(|value| decode(value.as_encoded_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_encoded_or_raw() {
        let mut headers = http::HeaderMap::new();
        let mut add = |key: &'static str, value: &[u8]| {
            headers.append(key, http::HeaderValue::from_bytes(value).unwrap());
        };
        add("dir-name", b"context");
        add("include-patterns", b"a+b");
        add("include-patterns", "grüße".as_bytes());
        add("followpaths", b"gr%C3%BC%C3%9Fe+x%2By");
        add("followpaths-encoded", b"1");
        let wanted = Wanted::read(&MetadataMap::from_headers(headers));
        let expected = Wanted {
            name: "context".into(),
            includes: vec![b"a+b".to_vec(), "grüße".as_bytes().to_vec()],
            excludes: Vec::new(),
            follow: vec!["grüße x+y".as_bytes().to_vec()],
        };
        assert_eq!(wanted, expected);
    }
}

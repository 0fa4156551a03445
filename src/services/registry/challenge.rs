//! Purpose: what a registry asks for when it answers 401 (RFC 9110 section 11.6.1, distribution's token specification).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// A way to authenticate that a registry offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Fetch a token from `realm`.
    Bearer {
        /// Address of the token endpoint.
        realm: String,
        /// What the token is for, in the registry's own words.
        service: Option<String>,
        /// What the token must allow.
        scope: Option<String>,
    },
    /// Send user name and password.
    Basic,
}

impl Challenge {
    /// The offer to take: tokens before passwords. `None` when nothing that we know is offered.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).into_iter();
        let offers: Vec<Offer> = values.filter_map(|value| value.to_str().ok()).flat_map(offers).collect();
        let bearer = offers.iter().filter(|offer| offer.is("bearer")).find_map(|offer| {
            Some(Self::Bearer {
                realm: offer.parameter("realm")?,
                service: offer.parameter("service"),
                scope: offer.parameter("scope"),
            })
        });
        bearer.or_else(|| offers.iter().any(|offer| offer.is("basic")).then_some(Self::Basic))
    }
}

/// A scheme with its parameters.
#[derive(Default)]
struct Offer {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Offer {
    fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let found = self.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    }
}

/// Reads one header, which may hold several offers, all separated by commas.
fn offers(header: &str) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(['=', ' ', '\t', ',']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return offers;
        }
        match (after.trim_start().strip_prefix('='), offers.last_mut()) {
            (Some(value), Some(offer)) => {
                let (value, after) = value_of(value.trim_start());
                offer.parameters.push((word.to_owned(), value));
                rest = after;
            }
            (Some(_), None) => return offers,
            (None, _) => {
                offers.push(Offer { scheme: word.to_owned(), ..Offer::default() });
                rest = after;
            }
        }
    }
}

/// A token or a quoted string, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn challenge(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::of(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Some(Challenge::Bearer { realm: realm.into(), service: owned(service), scope: owned(scope) })
    }

    #[test]
    fn reads_what_registries_send() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        assert_eq!(
            challenge(&[hub]),
            bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:a/b:pull,push"))
        );
        assert_eq!(
            challenge(&[r#"Basic realm="https://1.dkr.ecr.x/",service="ecr.amazonaws.com""#]),
            Some(Challenge::Basic)
        );
        assert_eq!(
            challenge(&[r#"bearer realm = "https://x/a \"b\", c" , service=y"#]),
            bearer("https://x/a \"b\", c", Some("y"), None)
        );
    }

    #[test]
    fn takes_the_token_when_both_are_offered() {
        let both = r#"Basic realm="x", Bearer realm="https://x/token""#;
        assert_eq!(challenge(&[both]), bearer("https://x/token", None, None));
        assert_eq!(challenge(&["Basic", r#"Bearer realm="https://x/token""#]), bearer("https://x/token", None, None));
    }

    #[test]
    fn an_unknown_or_useless_offer_is_none() {
        for value in ["Negotiate", r#"Digest realm="x", nonce="y""#, "Bearer", r#"Bearer service="x""#, ",,=", ""] {
            assert_eq!(challenge(&[value]), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_to_its_end(text in "[ -~]{0,60}") {
            let _ = offers(&text);
        }
    }
}

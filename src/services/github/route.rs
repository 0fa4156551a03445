//! Purpose: paths of GitHub's API in which no name can become anything but a name.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::domain::names::RepositoryName;

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path and query below the API's address.
#[derive(Debug, Clone)]
pub(super) struct Route(String);

impl Route {
    /// A path of our own words that is below no repository: `/user`.
    pub(super) fn root(words: &'static str) -> Self {
        Self(words.to_owned())
    }

    /// `/repos/{owner}/{name}`.
    pub(super) fn of(repository: &RepositoryName) -> Self {
        Self("/repos".to_owned()).name(repository.owner()).name(repository.name())
    }

    /// Adds our own words, as they are: `/git/ref/heads`.
    pub(super) fn words(mut self, words: &'static str) -> Self {
        self.0.push_str(words);
        self
    }

    /// Adds one segment that holds a name.
    pub(super) fn name(mut self, name: &str) -> Self {
        self.0.push('/');
        self.0.extend(utf8_percent_encode(name, RESERVED));
        self
    }

    /// Adds a git ref: its slashes separate segments.
    pub(super) fn git_ref(self, reference: &str) -> Self {
        reference.split('/').fold(self, Self::name)
    }

    /// Adds a query parameter.
    pub(super) fn query(mut self, key: &'static str, value: &str) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(key);
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, RESERVED));
        self
    }

    /// The whole address; the base's path prefix stays in front.
    pub(super) fn below(&self, base: &Url) -> Url {
        let (path, query) = self.0.split_once('?').map_or((self.0.as_str(), None), |(path, query)| (path, Some(query)));
        let mut url = base.clone();
        url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_becomes_anything_but_a_name() {
        let base: Url = "https://ghe.example/api/v3".parse().unwrap();
        let route = |branch: &str| {
            Route::of(&"acme/a.b".parse().unwrap()).words("/git/ref/heads").git_ref(branch).below(&base).to_string()
        };
        assert_eq!(route("feature/x"), "https://ghe.example/api/v3/repos/acme/a.b/git/ref/heads/feature/x");
        assert!(route("fix#12?a=b%2F").ends_with("/heads/fix%2312%3Fa%3Db%252F"), "{}", route("fix#12?a=b%2F"));
        assert!(route("ü/|<>`").ends_with("/heads/%C3%BC/%7C%3C%3E%60"), "{}", route("ü/|<>`"));
        let query = Route::of(&"acme/app".parse().unwrap()).words("/pulls").query("head", "me:a&b").query("page", "2");
        assert!(query.below(&base).as_str().ends_with("/pulls?head=me%3Aa%26b&page=2"));
    }
}

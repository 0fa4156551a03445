//! Purpose: the `Link` header (RFC 8288), by which GitHub and registries say where the next page is.

use http::HeaderMap;
use http::header::LINK;
use url::Url;

/// The target of `rel="next"`, resolved against the address that was asked; `None` on the last page.
#[must_use]
pub(super) fn next(headers: &HeaderMap, asked: &Url) -> Option<Url> {
    let values = headers.get_all(LINK).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(links)
        .find(|(_, parameters)| parameters.split(';').any(is_next))
        .and_then(|(target, _)| asked.join(target).ok())
}

/// The links of one header: targets and parameters. A target may hold commas, so the text is cut at its brackets.
fn links(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.split('<').skip(1).filter_map(|link| link.split_once('>'))
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    let value = value.trim().trim_end_matches(',').trim_end().trim_matches('"');
    name.trim().eq_ignore_ascii_case("rel")
        && value.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next_of(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(LINK, value.parse().unwrap());
        }
        let asked = "https://api.example/v2/acme/app/tags/list?n=2".parse().unwrap();
        next(&headers, &asked).map(|url| url.to_string())
    }

    #[test]
    fn reads_github_and_registry_style() {
        let github = r#"<https://api.example/x?page=1>; rel="prev", <https://api.example/x?page=3>; rel="next", <https://api.example/x?page=9>; rel="last""#;
        assert_eq!(next_of(&[github]).as_deref(), Some("https://api.example/x?page=3"));
        let registry = "</v2/acme/app/tags/list?last=b,c&n=2>; rel=\"next\"";
        assert_eq!(next_of(&[registry]).as_deref(), Some("https://api.example/v2/acme/app/tags/list?last=b,c&n=2"));
        assert_eq!(next_of(&["<?p=2>;rel=next"]).as_deref(), Some("https://api.example/v2/acme/app/tags/list?p=2"));
        assert_eq!(
            next_of(&[r#"<a>; rel="last""#, r#"<b>; rel="x next""#]).as_deref(),
            Some("https://api.example/v2/acme/app/tags/b")
        );
    }

    #[test]
    fn the_last_page_has_none() {
        assert_eq!(next_of(&[]), None);
        assert_eq!(next_of(&[r#"<https://api.example/x?rel=next>; rel="first""#]), None);
        assert_eq!(next_of(&["nonsense"]), None);
    }
}

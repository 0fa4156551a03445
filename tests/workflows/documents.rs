//! Pages: links that lead somewhere, and an index that knows every page.

use std::path::{Component, Path, PathBuf};

use super::{files, root, text};

/// The code blocks of a language.
pub(crate) fn snippets(page: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(named)) if named.trim() == language => open = Some(String::new()),
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(snippet), None) => {
                snippet.push_str(line);
                snippet.push('\n');
            }
            _ => {}
        }
    }
    found
}

/// The page without its code.
fn prose(page: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            let parts: Vec<&str> = line.split('`').collect();
            kept.extend(parts.iter().step_by(2).copied());
            kept.push('\n');
        }
    }
    kept
}

/// Targets of `[text](target)`.
fn links(page: &str) -> Vec<String> {
    let text = prose(page);
    let after = text.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.trim().to_owned()).collect()
}

/// The path that a relative link of a page leads to; `None` when it leads out of the repository.
fn target(page: &str, link: &str) -> Option<PathBuf> {
    let mut path = Path::new(page).parent()?.to_path_buf();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir if !path.pop() => return None,
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    Some(path)
}

/// GitHub's own name for a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn pages() -> Vec<String> {
    files("", &[".md"])
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        for link in links(&text(&page)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, fragment) = link.split_once('#').map_or((link.as_str(), None), |(path, at)| (path, Some(at)));
            let found = if path.is_empty() { Some(PathBuf::from(&page)) } else { target(&page, path) };
            let Some(found) = found.filter(|found| root().join(found).exists()) else {
                broken.push(format!("{page}: {link}"));
                continue;
            };
            if let Some(fragment) = fragment.filter(|_| found.extension().is_some_and(|e| e == "md")) {
                let other = text(&found.to_string_lossy());
                let headings = other.lines().filter(|line| line.starts_with('#'));
                let known = headings.map(|line| anchor(line.trim_start_matches('#'))).any(|name| name == fragment);
                if !known && !other.contains(&format!("id=\"{fragment}\"")) {
                    broken.push(format!("{page}: {link} (no such heading)"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn the_index_lists_every_page() {
    let listed: Vec<PathBuf> = links(&text("docs/README.md"))
        .iter()
        .filter_map(|link| target("docs/README.md", link.split('#').next().unwrap_or_default()))
        .collect();
    let index = Path::new("docs/README.md");
    let in_reference =
        |page: &Path| page.starts_with("docs/reference") && page.file_name().is_some_and(|n| n != "README.md");
    let missing: Vec<String> = files("docs", &[".md"])
        .into_iter()
        .filter(|page| {
            Path::new(page) != index && !in_reference(Path::new(page)) && !listed.contains(&PathBuf::from(page))
        })
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not list {}", missing.join(", "));
}

#[test]
fn snippets_links_and_anchors_are_read_right() {
    assert_eq!(snippets("a\n```yaml\nx: 1\n```\n```sh\ny\n```\n", "yaml"), ["x: 1\n"]);
    assert_eq!(links("[a](b.md#c) `[x](y)` and [d](e)"), ["b.md#c", "e"]);
    assert_eq!(anchor(" `config`: one file, says "), "config-one-file-says");
    assert_eq!(target("docs/a.md", "../README.md"), Some(PathBuf::from("README.md")));
}

//! Purpose: the inputs `cache_from` and `cache_to`, with what the runner knows filled in.

use crate::commands::run::Run;
use crate::contract::values::Lines;
use crate::domain::builder::CacheKind;
use crate::domain::cache_option::CacheEntry;
use crate::runner::Problems;

/// Which half of a cache an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// `cache_from`.
    Import,
    /// `cache_to`.
    Export,
}

/// Entries with what the runner knows filled in. GitHub's cache is asked for by what the runner gives every action; an
/// entry without it would be dropped silently by the builder.
pub(super) fn caches(
    direction: Direction,
    lines: Option<&Lines>,
    run: &Run,
    problems: &mut Problems,
) -> Vec<CacheEntry> {
    let lines = lines.map(|lines| lines.0.as_slice()).unwrap_or_default();
    let input = if direction == Direction::Import { "cache_from" } else { "cache_to" };
    let mut entries = Vec::new();
    for line in lines {
        let parsed = line.parse::<CacheEntry>().and_then(|entry| match direction {
            Direction::Import => entry.as_import(),
            Direction::Export => entry.as_export(),
        });
        let Some(entry) = problems.check(input, parsed) else { continue };
        for key in ["secret_access_key", "session_token", "token", "ghtoken"] {
            if let Some(secret) = entry.attributes.get(key) {
                run.mask(&secret.clone().into());
            }
        }
        match entry.kind() {
            CacheKind::Gha => entries.extend(of_actions(entry, run)),
            CacheKind::Local => entries.push(in_workspace(entry, run)),
            CacheKind::Inline if direction == Direction::Import => {
                problems.add(input, "has type=inline, which only exports; import it with type=registry,ref=<image>");
            }
            _ => entries.push(entry),
        }
    }
    entries
}

/// Folders are relative to the workspace, as everything is.
fn in_workspace(mut entry: CacheEntry, run: &Run) -> CacheEntry {
    for key in ["src", "dest"] {
        if let Some(folder) = entry.attributes.get_mut(key) {
            *folder = run.workspace().join(&*folder).display().to_string();
        }
    }
    entry
}

/// The service's address and token (BuildKit, `cache/remotecache/gha`). The second version of the service is the only one
/// left; container actions are not told of it by the variable that others look at.
fn of_actions(entry: CacheEntry, run: &Run) -> Option<CacheEntry> {
    let (Some(url), Some(token)) = (run.variable("ACTIONS_RESULTS_URL"), run.variable("ACTIONS_RUNTIME_TOKEN")) else {
        run.log.warn(
            "Cache left out",
            "type=gha needs the cache service of a GitHub Actions runner, which is not at hand here",
        );
        return None;
    };
    run.mask(&token.into());
    let entry = entry.or("url_v2", url).or("url", url).or("token", token).or("version", "2");
    Some(match (&run.github.repository, run.github_token()) {
        (Some(repository), Some(token)) => {
            use secrecy::ExposeSecret as _;
            entry.or("repository", repository.clone()).or("ghtoken", token.expose_secret())
        }
        _ => entry,
    })
}

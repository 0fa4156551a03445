//! Purpose: what is in use: open pull requests, active runs, task definitions, references in files; and which tags and
//! digests that means.

use std::collections::{BTreeMap, HashMap};

use crate::domain::names::Digest;

/// Everything that is known to be in use, by the ways in which images are named after it.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    numbers: HashMap<u64, String>,
    commits: BTreeMap<String, String>,
    tags: HashMap<String, String>,
    tags_here: HashMap<(usize, String), String>,
    digests: HashMap<Digest, String>,
    /// Kinds of evidence that could not be had. Nothing is deleted then.
    pub missing: Vec<String>,
}

/// One thing that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InUse {
    /// An open pull request.
    PullRequest {
        /// Its number.
        number: u64,
        /// Head and merge commit: images are named after either.
        commits: Vec<String>,
        /// The slug of its head branch, which a moving tag may have.
        slug: Option<String>,
    },
    /// A workflow run that is queued or under way.
    Run {
        /// How people know it.
        name: String,
        /// Head and merge commit.
        commits: Vec<String>,
    },
    /// An image that something outside names.
    Image {
        /// What names it: `task definition web:7`.
        by: String,
        /// Place of its repository.
        repository: usize,
        /// The tag.
        tag: Option<String>,
        /// The digest.
        digest: Option<Digest>,
    },
}

impl Evidence {
    /// Takes one thing in.
    pub fn add(&mut self, used: InUse) {
        match used {
            InUse::PullRequest { number, commits, slug } => {
                let by = format!("open pull request #{number}");
                self.add_commits(commits, &by);
                self.tags.extend(slug.map(|slug| (slug, by.clone())));
                self.numbers.insert(number, by);
            }
            InUse::Run { name, commits } => self.add_commits(commits, &name),
            InUse::Image { by, repository, tag, digest } => {
                // A digest is exact; a tag beside it may have moved on since.
                match (digest, tag) {
                    (Some(digest), _) => drop(self.digests.insert(digest, by)),
                    (None, Some(tag)) => drop(self.tags_here.insert((repository, tag), by)),
                    (None, None) => {}
                }
            }
        }
    }

    fn add_commits(&mut self, commits: Vec<String>, by: &str) {
        self.commits.extend(commits.into_iter().filter(|sha| sha.len() >= 7).map(|sha| (sha, by.to_owned())));
    }

    /// What uses a tag: by its number, a commit that it names, or its whole name.
    #[must_use]
    pub fn of_tag(&self, repository: usize, tag: &str) -> Option<&str> {
        if let Some(by) = self.tags.get(tag).or_else(|| self.tags_here.get(&(repository, tag.to_owned()))) {
            return Some(by);
        }
        if let Some(by) = pull_request_of(tag).and_then(|number| self.numbers.get(&number)) {
            return Some(by);
        }
        tag.split(['-', '_', '.']).find_map(|word| self.of_commit(word))
    }

    /// What uses a digest.
    #[must_use]
    pub fn of_digest(&self, digest: &Digest) -> Option<&str> {
        self.digests.get(digest).map(String::as_str)
    }

    /// A word of at least seven digits that begins a commit in use.
    fn of_commit(&self, word: &str) -> Option<&str> {
        let is_hex = word.len() >= 7 && word.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !is_hex {
            return None;
        }
        let (sha, by) = self.commits.range(word.to_owned()..).next()?;
        sha.starts_with(word).then_some(by.as_str())
    }
}

/// The number in `pr-123`, `pr-123-abc1234`, `pr123`, `pull-123`, `mr-123`.
fn pull_request_of(tag: &str) -> Option<u64> {
    let rest = ["pr", "pull", "mr", "PR"].iter().find_map(|prefix| tag.strip_prefix(prefix))?;
    let rest = rest.trim_start_matches(['-', '_', '.']);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, after) = rest.split_at(end);
    if !after.is_empty() && !after.starts_with(['-', '_', '.']) {
        return None;
    }
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_recognised_by_number_commit_and_name() {
        let mut evidence = Evidence::default();
        evidence.add(InUse::PullRequest {
            number: 12,
            commits: vec!["a".repeat(40), "b".repeat(40)],
            slug: Some("feature-x".into()),
        });
        evidence.add(InUse::Run { name: "run 7".into(), commits: vec!["c".repeat(40)] });
        let used = |tag: &str| evidence.of_tag(0, tag);
        for tag in ["pr-12", "pr-12-0000000", "pr12", "sha-aaaaaaa", "feature-y-bbbbbbb", "bbbbbbbbbb", "feature-x"] {
            assert_eq!(used(tag), Some("open pull request #12"), "{tag}");
        }
        assert_eq!(used("main-ccccccc"), Some("run 7"));
        for tag in ["pr-123", "pr-1", "pr-12x", "aaaaaa", "sha-aaaaaab", "feature-x-1", "cccccccd"] {
            assert_eq!(used(tag), None, "{tag}");
        }
    }
}

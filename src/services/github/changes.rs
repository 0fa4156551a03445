//! Purpose: which paths a pull request changes, asked of GitHub's API alone, whatever their number.
//!
//! GitHub lists at most [`MOST_FILES`] files of a pull request and [`MOST_COMPARED`] of a comparison, and both end
//! quietly (GitHub documentation, "list pull requests files", "compare two commits"). What is cut off there is found by
//! walking the two commits' trees, only where they differ.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::pages::Pages;
use super::route::Route;
use super::{Asked, GithubClient, GithubError, Repository};
use crate::domain::names::CommitSha;

/// The most files that the list of a pull request's files gives.
const MOST_FILES: u64 = 3000;
/// The most files that a comparison gives.
const MOST_COMPARED: usize = 300;
/// The most trees that are read to find what the lists cut off.
const MOST_TREES: u64 = 400;

#[derive(Deserialize)]
struct PullBody {
    head: Side,
    base: BaseSide,
    changed_files: u64,
}

#[derive(Deserialize)]
struct Side {
    sha: CommitSha,
}

#[derive(Deserialize)]
struct BaseSide {
    #[serde(rename = "ref")]
    branch: String,
}

#[derive(Deserialize)]
struct FileBody {
    filename: String,
    previous_filename: Option<String>,
}

#[derive(Deserialize)]
struct Comparison {
    merge_base_commit: Side,
    #[serde(default)]
    files: Vec<FileBody>,
}

#[derive(Deserialize)]
struct Tree {
    tree: Vec<Entry>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize, Clone, PartialEq, Eq)]
struct Entry {
    path: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    sha: String,
}

impl Entry {
    fn is_folder(&self) -> bool {
        self.kind == "tree"
    }
}

/// A folder in both commits; `None` where it does not exist.
struct Folder {
    path: String,
    before: Option<String>,
    after: Option<String>,
}

impl GithubClient {
    /// The paths that a pull request changes at `commit`, compared with where its branch left the base; both names of a
    /// renamed file. Sorted, without duplicates, complete.
    ///
    /// # Errors
    /// [`GithubError::TooMany`] when even walking the trees would take too many requests.
    pub async fn changed_paths(
        &self,
        repository: &Repository,
        number: u64,
        commit: &CommitSha,
    ) -> Result<Vec<String>, GithubError> {
        let asked =
            Asked::new("pull request", format!("#{number} of {}", repository.name)).needing("pull-requests: read");
        let route = Route::of(&repository.name).words("/pulls").name(&number.to_string());
        let pull: PullBody = self.read(&asked, &route).await?;
        if pull.head.sha == *commit && pull.changed_files < MOST_FILES {
            let (paths, count) = self.listed_files(repository, number).await?;
            // A push in between changes the list; what is asked for is this commit.
            if count == pull.changed_files {
                return Ok(paths.into_iter().collect());
            }
        }
        self.compared(repository, &pull.base.branch, commit).await
    }

    async fn listed_files(&self, repository: &Repository, number: u64) -> Result<(BTreeSet<String>, u64), GithubError> {
        let asked = Asked::new("files of the pull request", format!("#{number} of {}", repository.name))
            .needing("pull-requests: read");
        let route = Route::of(&repository.name).words("/pulls").name(&number.to_string()).words("/files");
        let mut pages: Pages<FileBody> = Pages::new(self, asked, route);
        let (mut paths, mut count) = (BTreeSet::new(), 0);
        while let Some(file) = pages.next().await? {
            paths.extend(names(file));
            count += 1;
        }
        Ok((paths, count))
    }

    /// What `commit` has on top of where it left `base`.
    async fn compared(
        &self,
        repository: &Repository,
        base: &str,
        commit: &CommitSha,
    ) -> Result<Vec<String>, GithubError> {
        let range = format!("{base}...{commit}");
        let asked = Asked::new("comparison", format!("'{range}' of {}", repository.name));
        // The files are on the first page only, whatever the size of a page of commits.
        let route = Route::of(&repository.name).words("/compare").name(&range).query("per_page", "1");
        let comparison: Comparison = self.read(&asked, &route).await?;
        if comparison.files.len() < MOST_COMPARED {
            let paths: BTreeSet<String> = comparison.files.into_iter().flat_map(names).collect();
            return Ok(paths.into_iter().collect());
        }
        self.walked(repository, &comparison.merge_base_commit.sha, commit).await
    }

    /// Reads the trees of two commits side by side, folder by folder, where they differ.
    async fn walked(
        &self,
        repository: &Repository,
        before: &CommitSha,
        after: &CommitSha,
    ) -> Result<Vec<String>, GithubError> {
        let (mut changed, mut read) = (BTreeSet::new(), 0);
        let mut folders =
            vec![Folder { path: String::new(), before: Some(before.to_string()), after: Some(after.to_string()) }];
        while let Some(folder) = folders.pop() {
            read += u64::from(folder.before.is_some()) + u64::from(folder.after.is_some());
            if read > MOST_TREES {
                let asked = Asked::new("changes", format!("between {before} and {after} of {}", repository.name));
                return Err(GithubError::TooMany { asked, limit: MOST_TREES });
            }
            let (before, after) =
                tokio::try_join!(self.tree(repository, folder.before), self.tree(repository, folder.after))?;
            differ(&folder.path, before, after, &mut changed, &mut folders);
        }
        Ok(changed.into_iter().collect())
    }

    /// The entries of a tree, by name; those of a commit are those of its root.
    async fn tree(&self, repository: &Repository, sha: Option<String>) -> Result<BTreeMap<String, Entry>, GithubError> {
        let Some(sha) = sha else {
            return Ok(BTreeMap::new());
        };
        let asked = Asked::new("tree", format!("{sha} of {}", repository.name));
        let route = Route::of(&repository.name).words("/git/trees").name(&sha);
        let tree: Tree = self.read(&asked, &route).await?;
        if tree.truncated {
            return Err(GithubError::TooMany { asked, limit: tree.tree.len() as u64 });
        }
        Ok(tree.tree.into_iter().map(|entry| (entry.path.clone(), entry)).collect())
    }
}

/// Enters the files that differ between two states of a folder, and the folders that have to be looked into.
fn differ(
    path: &str,
    mut before: BTreeMap<String, Entry>,
    after: BTreeMap<String, Entry>,
    changed: &mut BTreeSet<String>,
    folders: &mut Vec<Folder>,
) {
    let whole = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    let gone = |before: &mut BTreeMap<String, Entry>, name: &str| before.remove(name);
    let mut pairs: Vec<(String, Option<Entry>, Option<Entry>)> = Vec::new();
    for (name, entry) in after {
        pairs.push((whole(&name), gone(&mut before, &name), Some(entry)));
    }
    pairs.extend(before.into_iter().map(|(name, entry)| (whole(&name), Some(entry), None)));
    for (path, before, after) in pairs {
        if before == after {
            continue;
        }
        let folder = |entry: &Option<Entry>| entry.as_ref().filter(|entry| entry.is_folder()).map(|e| e.sha.clone());
        let is_file = |entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| !entry.is_folder());
        if is_file(&before) || is_file(&after) {
            changed.insert(path.clone());
        }
        let (before, after) = (folder(&before), folder(&after));
        if before.is_some() || after.is_some() {
            folders.push(Folder { path, before, after });
        }
    }
}

fn names(file: FileBody) -> impl Iterator<Item = String> {
    file.previous_filename.into_iter().chain([file.filename])
}

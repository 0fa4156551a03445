//! Purpose: what commits change: a pull request's files, comparisons and trees, computed from the commits' own files.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::archive::object_id;
use super::super::http::{Reply, Request};
use super::{Commit, File, Pull, Repository, error, not_found, paged};

/// The most files that a pull request's listing gives.
const MOST_FILES: usize = 3000;
/// The most files that a comparison gives.
const MOST_COMPARED: usize = 300;

type Files = BTreeMap<String, File>;

fn files_of<'a>(found: &'a Repository, sha: &str) -> Option<&'a Files> {
    found.commits.get(sha).map(|commit| &commit.files)
}

/// A commit and all that it descends from, nearest first.
fn ancestors(found: &Repository, sha: &str) -> Vec<String> {
    let (mut seen, mut next) = (Vec::new(), vec![sha.to_owned()]);
    while let Some(sha) = next.pop() {
        if !seen.contains(&sha) {
            next.extend(found.commits.get(&sha).map(|commit: &Commit| commit.parents.clone()).unwrap_or_default());
            seen.push(sha);
        }
    }
    seen
}

fn merge_base(found: &Repository, base: &str, head: &str) -> Option<String> {
    let of_base = ancestors(found, base);
    ancestors(found, head).into_iter().find(|sha| of_base.contains(sha))
}

/// The files that differ, as GitHub lists them; a file that moved with its content unchanged is renamed.
fn differing(before: &Files, after: &Files) -> Vec<Value> {
    let mut gone: Vec<&String> = before.keys().filter(|name| !after.contains_key(*name)).collect();
    let mut list = Vec::new();
    for (name, file) in after {
        match before.get(name) {
            Some(old) if old == file => {}
            Some(_) => list.push(json!({ "filename": name, "status": "modified" })),
            None => match gone.iter().position(|old| before[*old] == *file) {
                Some(at) => {
                    let old = gone.remove(at);
                    list.push(json!({ "filename": name, "status": "renamed", "previous_filename": old }));
                }
                None => list.push(json!({ "filename": name, "status": "added" })),
            },
        }
    }
    list.extend(gone.into_iter().map(|name| json!({ "filename": name, "status": "removed" })));
    list
}

/// What a pull request changes; nothing when its commits are not known.
pub fn of_pull(found: &Repository, pull: &Pull) -> Vec<Value> {
    let known = || {
        let base = merge_base(found, found.branches.get(&pull.base_ref)?, &pull.head_sha)?;
        Some(differing(files_of(found, &base)?, files_of(found, &pull.head_sha)?))
    };
    known().unwrap_or_default()
}

/// `GET /pulls/{number}/files`.
pub fn files(request: &Request, found: &Repository, number: &str) -> Reply {
    let Some(pull) = number.parse().ok().and_then(|number: u64| found.pulls.get(&number)) else {
        return not_found();
    };
    let mut all = of_pull(found, pull);
    all.truncate(MOST_FILES);
    paged(request, all)
}

/// `GET /compare/{base}...{head}`.
pub fn compare(found: &Repository, range: &str) -> Reply {
    let ends = range.split_once("...").and_then(|(base, head)| Some((found.resolve(base)?, found.resolve(head)?)));
    let Some((base, head)) = ends else {
        return not_found();
    };
    let Some(common) = merge_base(found, &base, &head) else {
        return error(404, "No common ancestor between the two commits.");
    };
    let empty = Files::new();
    let mut all = differing(files_of(found, &common).unwrap_or(&empty), files_of(found, &head).unwrap_or(&empty));
    all.truncate(MOST_COMPARED);
    let body = json!({ "status": "ahead", "merge_base_commit": { "sha": common }, "total_commits": 1, "commits": [], "files": all });
    Reply::json(200, &body)
}

/// The id of a folder by what is in it.
fn tree_id(files: &Files, folder: &str) -> String {
    let inside: Vec<(&String, &File)> = files.iter().filter(|(path, _)| path.starts_with(folder)).collect();
    object_id(&[b"tree", folder.as_bytes(), &serde_json::to_vec(&inside).expect("files are JSON")])
}

/// `GET /git/trees/{sha}` of a commit or of a folder in one.
pub fn tree(found: &Repository, sha: &str) -> Reply {
    if let Some(files) = files_of(found, sha) {
        return tree_json(sha, files, "");
    }
    for commit in found.commits.values() {
        let ends = |path: &String| path.match_indices('/').map(|(at, _)| path[..=at].to_owned()).collect::<Vec<_>>();
        let folders: BTreeSet<String> = commit.files.keys().flat_map(ends).collect();
        if let Some(folder) = folders.iter().find(|folder| tree_id(&commit.files, folder) == sha) {
            return tree_json(sha, &commit.files, folder);
        }
    }
    not_found()
}

fn tree_json(sha: &str, files: &Files, folder: &str) -> Reply {
    let mut entries: BTreeMap<String, Value> = BTreeMap::new();
    for (path, file) in files.iter().filter(|(path, _)| path.starts_with(folder)) {
        let rest = &path[folder.len()..];
        let name = rest.split('/').next().unwrap_or(rest);
        if entries.contains_key(name) {
            continue;
        }
        let entry = if rest.contains('/') {
            let id = tree_id(files, &format!("{folder}{name}/"));
            json!({ "path": name, "mode": "040000", "type": "tree", "sha": id })
        } else {
            json!({ "path": name, "mode": file.mode, "type": "blob", "sha": object_id(&[&file.bytes()]) })
        };
        entries.insert(name.to_owned(), entry);
    }
    let entries: Vec<Value> = entries.into_values().collect();
    Reply::json(200, &json!({ "sha": sha, "tree": entries, "truncated": false }))
}

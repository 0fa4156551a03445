//! Purpose: who may do what on GitHub, and when it saw what: collaborators, activity on branches, check suites.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::clock::Moment;
use super::super::http::{Reply, Request};
use super::{Repository, not_found, paged};

/// One move of a branch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Push {
    pub branch: String,
    pub sha: String,
    pub at: Moment,
}

impl Repository {
    /// Gives somebody a role: `read`, `triage`, `write`, `maintain`, `admin` or a name of one's own.
    pub fn role(&mut self, login: &str, role: &str) -> &mut Self {
        self.roles.insert(login.to_owned(), role.to_owned());
        self
    }

    /// Notes that a branch was moved to a commit.
    pub fn pushed(&mut self, branch: &str, sha: &str, at: Moment) {
        self.pushes.push(Push { branch: branch.to_owned(), sha: sha.to_owned(), at });
    }
}

/// Reads of this file; `None` when it has no such route.
pub(super) fn read(request: &Request, found: &Repository, rest: &[&str]) -> Option<Reply> {
    Some(match rest {
        ["collaborators", login, "permission"] => permission(found, login),
        ["activity"] => activity(request, found),
        ["commits", sha, "check-suites"] => check_suites(found, sha),
        _ => return None,
    })
}

/// Nobody is a collaborator of a public repository and may read it all the same; an account `nobody` does not exist.
fn permission(found: &Repository, login: &str) -> Reply {
    if login == "nobody" {
        return not_found();
    }
    let everybody = if found.private { "none" } else { "read" };
    let role = found.roles.get(login).map_or(everybody, String::as_str);
    let permission = match role {
        "admin" | "write" | "read" | "none" => role,
        "maintain" => "write",
        "triage" => "read",
        _ => "write",
    };
    Reply::json(200, &json!({ "permission": permission, "role_name": role, "user": { "login": login } }))
}

fn activity(request: &Request, found: &Repository) -> Reply {
    let wanted = request.query("ref").unwrap_or_default();
    let pushes = found.pushes.iter().rev().filter(|push| format!("refs/heads/{}", push.branch) == wanted);
    let all = pushes.map(|push| {
        json!({ "id": 1, "ref": wanted, "before": "0".repeat(40), "after": push.sha, "activity_type": "push",
            "timestamp": push.at.to_string() })
    });
    paged(request, all.collect::<Vec<Value>>())
}

fn check_suites(found: &Repository, sha: &str) -> Reply {
    let suites: Vec<Value> =
        found.suites.get(sha).map(|at| json!({ "id": 1, "created_at": at.to_string() })).into_iter().collect();
    Reply::json(200, &json!({ "total_count": suites.len(), "check_suites": suites }))
}

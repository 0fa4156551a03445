//! Purpose: the events that start workflows, as GitHub tells a run of them.

use serde_json::{Map, Value, json};

/// Everything lives here.
pub(crate) const REPOSITORY: &str = "acme/app";

/// What started a run.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) payload: Value,
    pub(crate) sha: String,
    pub(crate) reference: String,
    pub(crate) head_ref: String,
    pub(crate) base_ref: String,
    pub(crate) actor: String,
}

/// A pull request of this repository, or of a fork when `head_repository` says so.
#[derive(Debug, Clone)]
pub(crate) struct PullRequest<'a> {
    pub(crate) number: u64,
    pub(crate) head: &'a str,
    pub(crate) head_sha: &'a str,
    pub(crate) head_repository: &'a str,
    pub(crate) base: &'a str,
    pub(crate) merge_sha: &'a str,
}

impl Event {
    fn new(name: &str, payload: Value) -> Self {
        let mut payload = payload;
        payload["repository"] = json!({
            "full_name": REPOSITORY, "name": "app", "default_branch": "main", "private": true, "fork": false,
            "owner": { "login": "acme", "type": "Organization" }, "html_url": format!("https://github.com/{REPOSITORY}"),
        });
        payload["sender"] = json!({ "login": "octocat", "type": "User" });
        Self {
            name: name.to_owned(),
            payload,
            sha: String::new(),
            reference: "refs/heads/main".to_owned(),
            head_ref: String::new(),
            base_ref: String::new(),
            actor: "octocat".to_owned(),
        }
    }

    /// A push to a branch.
    pub(crate) fn push(branch: &str, sha: &str) -> Self {
        let reference = format!("refs/heads/{branch}");
        let payload = json!({ "ref": reference, "after": sha, "before": "0".repeat(40), "deleted": false,
            "head_commit": { "id": sha, "timestamp": "2026-01-01T12:00:00Z", "message": "A change" } });
        Self { sha: sha.to_owned(), reference, ..Self::new("push", payload) }
    }

    /// A push to a pull request.
    pub(crate) fn pull_request(pull: &PullRequest<'_>) -> Self {
        let side = |name: &str, sha: &str, repository: &str| json!({ "ref": name, "sha": sha, "repo": { "full_name": repository, "fork": repository != REPOSITORY } });
        let payload = json!({ "action": "synchronize", "number": pull.number, "pull_request": {
            "number": pull.number, "title": "A change", "state": "open", "draft": false,
            "head": side(pull.head, pull.head_sha, pull.head_repository), "base": side(pull.base, "b".repeat(40).as_str(), REPOSITORY),
            "user": { "login": "octocat", "type": "User" }, "html_url": format!("https://github.com/{REPOSITORY}/pull/{}", pull.number),
        } });
        Self {
            sha: pull.merge_sha.to_owned(),
            reference: format!("refs/pull/{}/merge", pull.number),
            head_ref: pull.head.to_owned(),
            base_ref: pull.base.to_owned(),
            ..Self::new("pull_request", payload)
        }
    }

    /// Somebody pressed the button, with these inputs.
    pub(crate) fn dispatch(sha: &str, inputs: &[(&str, &str)]) -> Self {
        let inputs: Map<String, Value> =
            inputs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let payload = json!({ "inputs": inputs, "ref": "refs/heads/main", "workflow": "workflow.yml" });
        Self { sha: sha.to_owned(), ..Self::new("workflow_dispatch", payload) }
    }

    /// The clock said so.
    pub(crate) fn schedule(sha: &str) -> Self {
        Self { sha: sha.to_owned(), ..Self::new("schedule", json!({ "schedule": "0 3 * * *" })) }
    }

    /// Somebody commented on a pull request; `id` is the comment's.
    pub(crate) fn comment(sha: &str, number: u64, id: u64, author: &str, body: &str, at: &str) -> Self {
        let user = json!({ "login": author, "type": "User" });
        let payload = json!({
            "action": "created",
            "issue": { "number": number, "pull_request": { "url": format!("https://api.github.com/repos/{REPOSITORY}/pulls/{number}") } },
            "comment": { "id": id, "body": body, "user": user, "created_at": at },
        });
        let mut event = Self { sha: sha.to_owned(), actor: author.to_owned(), ..Self::new("issue_comment", payload) };
        event.payload["sender"] = user;
        event
    }

    /// Another workflow's run ended.
    pub(crate) fn after(run: &WorkflowRun<'_>, sha: &str) -> Self {
        let head = run.pull.map_or(REPOSITORY, |pull| pull.head_repository);
        let pulls: Vec<Value> =
            run.pull.filter(|_| head == REPOSITORY).map(|pull| json!({ "number": pull.number })).into_iter().collect();
        let payload = json!({ "action": "completed", "workflow_run": {
            "id": run.id, "name": run.name, "event": run.event, "status": "completed", "conclusion": run.conclusion,
            "head_branch": run.branch, "head_sha": run.sha, "head_repository": { "full_name": head, "fork": head != REPOSITORY },
            "pull_requests": pulls, "html_url": format!("https://github.com/{REPOSITORY}/actions/runs/{}", run.id),
        } });
        Self { sha: sha.to_owned(), ..Self::new("workflow_run", payload) }
    }

    /// `branch`, `tag` or `7/merge`.
    pub(crate) fn ref_name(&self) -> &str {
        self.reference
            .trim_start_matches("refs/heads/")
            .trim_start_matches("refs/tags/")
            .trim_start_matches("refs/pull/")
    }
}

/// A run of another workflow.
#[derive(Debug, Clone)]
pub(crate) struct WorkflowRun<'a> {
    pub(crate) id: u64,
    pub(crate) name: &'a str,
    pub(crate) event: &'a str,
    pub(crate) conclusion: &'a str,
    pub(crate) branch: &'a str,
    pub(crate) sha: &'a str,
    pub(crate) pull: Option<&'a PullRequest<'a>>,
}

/// Whether a workflow listens to an event, as far as its filters of branches, workflows and types say.
pub(crate) fn listens(workflow: &Value, event: &Event) -> bool {
    let on = &workflow["on"];
    let filter = match on {
        Value::String(one) => return *one == event.name,
        Value::Array(all) => return all.iter().any(|one| *one == event.name.as_str()),
        Value::Object(triggers) => match triggers.get(&event.name) {
            None => return false,
            Some(filter) => filter,
        },
        _ => return false,
    };
    let branch = match event.name.as_str() {
        "pull_request" => event.base_ref.clone(),
        "workflow_run" => event.payload["workflow_run"]["head_branch"].as_str().unwrap_or_default().to_owned(),
        _ => event.ref_name().to_owned(),
    };
    let run = event.payload["workflow_run"]["name"].as_str().unwrap_or_default();
    let action = event.payload["action"].as_str().unwrap_or_default();
    fits(&filter["branches"], &branch)
        && fits(&filter["workflows"], run)
        && (filter["types"].is_null() || fits(&filter["types"], action))
}

fn fits(filter: &Value, value: &str) -> bool {
    let Some(globs) = filter.as_array() else {
        return true;
    };
    let glob = |text: &str| globset::GlobBuilder::new(text).literal_separator(true).build().unwrap().compile_matcher();
    globs.iter().filter_map(Value::as_str).any(|text| glob(text).is_match(value))
}

//! Purpose: what people and programs say on GitHub: comments, reactions, commit statuses; with the delay that GitHub has
//! until everybody sees it.

use std::collections::BTreeMap;
use std::time::Duration;

use ::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::clock::Moment;
use super::super::http::{Reply, Request, Skin};
use super::super::state::State;
use super::{At, Repository, error, not_found, paged};

/// One comment on an issue or pull request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Comment {
    pub issue: u64,
    pub author: String,
    pub body: String,
    pub created_at: Moment,
    pub updated_at: Moment,
    /// Who reacted how.
    #[serde(default)]
    pub reactions: Vec<Reaction>,
}

/// One reaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    pub id: u64,
    pub login: String,
    pub content: String,
}

/// One commit status.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    pub sha: String,
    pub state: String,
    pub context: String,
    pub description: Option<String>,
    pub target_url: Option<String>,
    #[serde(default)]
    pub id: u64,
    #[serde(default = "epoch")]
    pub created_at: Moment,
    #[serde(default)]
    pub creator: String,
}

fn epoch() -> Moment {
    Moment::EPOCH
}

/// What was, for readers that see the present late.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Past {
    /// Texts of comments, with the moment from which each was there.
    texts: BTreeMap<u64, Vec<(Moment, String)>>,
    /// Comments that are gone, with the moment from which.
    gone: BTreeMap<u64, (Moment, Comment)>,
}

/// How late GitHub is, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delays {
    /// From a request to its answer.
    pub latency: u64,
    /// From a write to the first listing that surely shows it. Listings in between show it or not, as if one of three
    /// replicas had answered.
    pub lag: u64,
}

/// How long a request to GitHub is under way, one way.
pub fn one_way(state: &State, request: &Request) -> Duration {
    if request.skin == Skin::Github {
        return Duration::from_millis(state.github.delays.latency / 2);
    }
    Duration::ZERO
}

impl Repository {
    /// A comment that somebody made a while ago; gives its id.
    pub fn comment(&mut self, issue: u64, author: &str, body: &str) -> u64 {
        let id = self.comments.keys().max().map_or(100, |id| id + 1);
        let at = Moment::from_second(1_700_000_000);
        let (author, body) = (author.to_owned(), body.to_owned());
        self.comments
            .insert(id, Comment { issue, author, body, created_at: at, updated_at: at, reactions: Vec::new() });
        id
    }

    /// The bodies of a thread's comments by an author, the oldest first.
    pub fn said(&self, issue: u64, author: &str) -> Vec<String> {
        let fitting = self.comments.values().filter(|comment| comment.issue == issue && comment.author == author);
        fitting.map(|comment| comment.body.clone()).collect()
    }

    /// The comments as they were at a moment.
    fn comments_at(&self, moment: Moment) -> BTreeMap<u64, Comment> {
        let gone = self.past.gone.iter().filter(|(_, (at, _))| *at > moment).map(|(id, (_, comment))| (id, comment));
        let there = self.comments.iter().chain(gone).filter(|(_, comment)| comment.created_at <= moment);
        let then = there.map(|(id, comment)| {
            let texts = self.past.texts.get(id).map(Vec::as_slice).unwrap_or_default();
            let text = texts.iter().rfind(|(at, _)| *at <= moment).map_or(&comment.body, |(_, text)| text);
            (*id, Comment { body: text.clone(), ..comment.clone() })
        });
        then.collect()
    }
}

/// The moment whose state a listing shows.
fn horizon(state: &State) -> Moment {
    let lag = state.github.delays.lag * (state.requests.len() as u64 % 3) / 2;
    let now = state.clock.now();
    Moment(now.0 - Duration::from_millis(lag))
}

/// Reads of this file; `None` when it has no such route.
pub(super) fn read(state: &State, request: &Request, found: &Repository, rest: &[&str]) -> Option<Reply> {
    Some(match rest {
        ["commits", reference @ .., "status"] => combined_status(state, found, &reference.join("/")),
        ["commits", reference @ .., "statuses"] => statuses(state, request, found, &reference.join("/")),
        ["issues", number, "comments"] => comments(state, request, found, number),
        ["issues", "comments", id] => comment(found, id),
        ["issues", "comments", id, "reactions"] => reactions(request, found, id),
        _ => return None,
    })
}

/// Writes of this file; `None` when it has no such route.
pub(super) fn write(state: &mut State, request: &Request, at: &At<'_>, rest: &[&str]) -> Option<Reply> {
    Some(match (request.method.as_str(), rest) {
        ("POST", ["issues", number, "comments"]) => create_comment(state, request, at, number),
        ("PATCH", ["issues", "comments", id]) => update_comment(state, request, at, id),
        ("DELETE", ["issues", "comments", id]) => delete_comment(state, at, id),
        ("POST", ["issues", "comments", id, "reactions"]) => react(state, request, at, id),
        ("DELETE", ["issues", "comments", id, "reactions", reaction]) => take_back(state, at, id, reaction),
        ("POST", ["statuses", sha]) => create_status(state, request, at, sha),
        _ => return None,
    })
}

/// The permission that a write needs beside access to the repository, as a workflow names it.
pub fn permission(method: &Method, rest: &[&str]) -> Option<&'static str> {
    match (method.as_str(), rest) {
        (_, ["statuses", ..]) => Some("statuses"),
        (_, ["commits", .., "status" | "statuses"]) => Some("statuses"),
        ("GET", _) => None,
        (_, ["issues", ..]) => Some("pull-requests"),
        _ => None,
    }
}

/// Who a token is, as GraphQL says it.
pub fn viewer(state: &State, request: &Request) -> Reply {
    let known = request.bearer().and_then(|token| state.github.tokens.get(token));
    if !request.json()["query"].as_str().is_some_and(|query| query.contains("viewer { login }")) {
        return Reply::unknown(request);
    }
    match known {
        Some(token) => Reply::json(200, &json!({ "data": { "viewer": { "login": token.login } } })),
        None => error(401, "This endpoint requires you to be authenticated."),
    }
}

/// An account as answers show it.
pub fn account(login: &str) -> Value {
    json!({ "login": login, "type": if login.ends_with("[bot]") { "Bot" } else { "User" } })
}

fn login(state: &State, request: &Request) -> String {
    request.bearer().map_or_else(String::new, |token| state.github.tokens[token].login.clone())
}

fn comment_json(id: u64, comment: &Comment) -> Value {
    json!({
        "id": id,
        "node_id": format!("IC_{id}"),
        "url": format!("https://api.github.com/comments/{id}"),
        "html_url": format!("https://github.com/comments/{id}"),
        "body": comment.body,
        "user": account(&comment.author),
        "author_association": "NONE",
        "created_at": comment.created_at.to_string(),
        "updated_at": comment.updated_at.to_string(),
    })
}

fn comments(state: &State, request: &Request, found: &Repository, number: &str) -> Reply {
    let since = request.query("since").and_then(|text| Moment::try_from(text.to_owned()).ok());
    let all = found.comments_at(horizon(state));
    let fitting = all.iter().filter(|(_, comment)| {
        comment.issue.to_string() == number && since.is_none_or(|since| comment.updated_at >= since)
    });
    paged(request, fitting.map(|(id, comment)| comment_json(*id, comment)).collect())
}

fn comment(found: &Repository, id: &str) -> Reply {
    let known = id.parse().ok().and_then(|id| Some((id, found.comments.get(&id)?)));
    known.map_or_else(not_found, |(id, comment)| Reply::json(200, &comment_json(id, comment)))
}

fn comment_body(request: &Request) -> Result<String, Reply> {
    match request.json()["body"].as_str() {
        Some(body) if body.chars().count() > 65_536 || body.len() > 262_144 => {
            Err(error(422, "Validation Failed: body is too long (maximum is 65536 characters)"))
        }
        Some(body) if !body.is_empty() => Ok(body.to_owned()),
        _ => Err(error(422, "Validation Failed: body is missing")),
    }
}

fn create_comment(state: &mut State, request: &Request, at: &At<'_>, number: &str) -> Reply {
    let Ok(issue) = number.parse() else {
        return not_found();
    };
    let body = match comment_body(request) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let author = login(state, request);
    let (now, id) = (state.clock.now(), state.github.next());
    let comment = Comment { issue, author, body, created_at: now, updated_at: now, reactions: Vec::new() };
    let reply = Reply::json(201, &comment_json(id, &comment));
    let repository = state.github.repository(at.name);
    repository.past.texts.insert(id, vec![(now, comment.body.clone())]);
    repository.comments.insert(id, comment);
    state.wrote(Skin::Github, &format!("create comment {}#{number}", at.name));
    reply
}

fn update_comment(state: &mut State, request: &Request, at: &At<'_>, id: &str) -> Reply {
    let body = match comment_body(request) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let now = state.clock.now();
    let Ok(number) = id.parse::<u64>() else {
        return not_found();
    };
    let repository = state.github.repository(at.name);
    let Some(comment) = repository.comments.get_mut(&number) else {
        return not_found();
    };
    let before = (comment.created_at, comment.body.clone());
    let texts = repository.past.texts.entry(number).or_insert_with(|| vec![before]);
    texts.push((now, body.clone()));
    (comment.body, comment.updated_at) = (body, now);
    let reply = Reply::json(200, &comment_json(number, comment));
    state.wrote(Skin::Github, &format!("update comment {} {id}", at.name));
    reply
}

fn delete_comment(state: &mut State, at: &At<'_>, id: &str) -> Reply {
    let now = state.clock.now();
    let repository = state.github.repository(at.name);
    let Some((id, comment)) = id.parse().ok().and_then(|id| Some((id, repository.comments.remove(&id)?))) else {
        return not_found();
    };
    repository.past.gone.insert(id, (now, comment));
    state.wrote(Skin::Github, &format!("delete comment {} {id}", at.name));
    Reply::empty(204)
}

const REACTIONS: [&str; 8] = ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];

fn reaction_json(reaction: &Reaction) -> Value {
    json!({ "id": reaction.id, "content": reaction.content, "user": account(&reaction.login) })
}

fn reactions(request: &Request, found: &Repository, id: &str) -> Reply {
    let Some(comment) = id.parse().ok().and_then(|id: u64| found.comments.get(&id)) else {
        return not_found();
    };
    paged(request, comment.reactions.iter().map(reaction_json).collect())
}

fn react(state: &mut State, request: &Request, at: &At<'_>, id: &str) -> Reply {
    let content = request.json()["content"].as_str().unwrap_or_default().to_owned();
    if !REACTIONS.contains(&content.as_str()) {
        return error(422, "Validation Failed: content is not included in the list");
    }
    let (login, number) = (login(state, request), state.github.next());
    let repository = state.github.repository(at.name);
    let Some(comment) = id.parse().ok().and_then(|id: u64| repository.comments.get_mut(&id)) else {
        return not_found();
    };
    let same = |reaction: &&Reaction| reaction.login == login && reaction.content == content;
    if let Some(reaction) = comment.reactions.iter().find(same) {
        return Reply::json(200, &reaction_json(reaction));
    }
    let reaction = Reaction { id: number, login, content };
    let reply = Reply::json(201, &reaction_json(&reaction));
    state.wrote(Skin::Github, &format!("react {} {id} {}", at.name, reaction.content));
    let comments = &mut state.github.repository(at.name).comments;
    let comment = id.parse().ok().and_then(|id: u64| comments.get_mut(&id));
    comment.expect("the comment of just now").reactions.push(reaction);
    reply
}

fn take_back(state: &mut State, at: &At<'_>, id: &str, reaction: &str) -> Reply {
    let comments = &mut state.github.repository(at.name).comments;
    let Some(comment) = id.parse().ok().and_then(|id: u64| comments.get_mut(&id)) else {
        return not_found();
    };
    let before = comment.reactions.len();
    comment.reactions.retain(|known| known.id.to_string() != reaction);
    if comment.reactions.len() == before {
        return not_found();
    }
    state.wrote(Skin::Github, &format!("take back reaction {} {id}", at.name));
    Reply::empty(204)
}

fn status_json(status: &Status) -> Value {
    json!({ "id": status.id, "state": status.state, "context": status.context, "description": status.description,
        "target_url": status.target_url, "created_at": status.created_at.to_string(),
        "updated_at": status.created_at.to_string(), "creator": account(&status.creator) })
}

fn create_status(state: &mut State, request: &Request, at: &At<'_>, sha: &str) -> Reply {
    let body = request.json();
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let wanted = text("state").unwrap_or_default();
    if !["error", "failure", "pending", "success"].contains(&wanted.as_str()) {
        return error(422, "Validation Failed: state is not included in the list");
    }
    if !state.github.repository(at.name).commits.contains_key(sha) {
        return error(422, &format!("No commit found for SHA: {sha}"));
    }
    let context = text("context").unwrap_or("default".into());
    let (description, target_url) = (text("description"), text("target_url"));
    if description.as_ref().is_some_and(|text| text.chars().count() > 140) {
        return error(422, "Validation Failed: description is too long (maximum is 140 characters)");
    }
    if target_url.as_ref().is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
        return error(422, "Validation Failed: target_url must use http(s) scheme");
    }
    let status = Status {
        sha: sha.to_owned(),
        state: wanted,
        context,
        description,
        target_url,
        id: state.github.next(),
        created_at: state.clock.now(),
        creator: login(state, request),
    };
    let reply = Reply::json(201, &status_json(&status));
    state.wrote(Skin::Github, &format!("create status {} {} {}", at.name, status.context, status.state));
    state.github.repository(at.name).statuses.push(status);
    reply
}

fn statuses(state: &State, request: &Request, found: &Repository, reference: &str) -> Reply {
    let Some(sha) = found.resolve(reference) else {
        return not_found();
    };
    let horizon = horizon(state);
    let fitting = found.statuses.iter().rev().filter(|status| status.sha == sha && status.created_at <= horizon);
    paged(request, fitting.map(status_json).collect())
}

fn combined_status(state: &State, found: &Repository, reference: &str) -> Reply {
    let Some(sha) = found.resolve(reference) else {
        return not_found();
    };
    let horizon = horizon(state);
    let mut latest = BTreeMap::new();
    for status in found.statuses.iter().filter(|status| status.sha == sha && status.created_at <= horizon) {
        latest.insert(&status.context, status);
    }
    let any = |wanted: &[&str]| latest.values().any(|status| wanted.contains(&status.state.as_str()));
    let state = if any(&["error", "failure"]) {
        "failure"
    } else if latest.is_empty() || any(&["pending"]) {
        "pending"
    } else {
        "success"
    };
    let all: Vec<Value> = latest.values().map(|status| status_json(status)).collect();
    Reply::json(200, &json!({ "state": state, "sha": sha, "total_count": all.len(), "statuses": all }))
}

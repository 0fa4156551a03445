//! Purpose: workflow artifacts: the artifact service (Twirp), the storage behind it, and GitHub's REST view of both.
//!
//! ```ignore
//! world.state().artifacts.put(7, "image", Artifact::raw("image.tar", bytes));   // run 7 has it
//! world.state().artifacts.put(1000, "image", Artifact::zip(&[("image.tar", &bytes)]));
//! ```

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::archive::digest;
use super::http::{Door, Reply, Request, Skin};
use super::state::State;

/// All artifacts, and the run that the runtime token belongs to.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Artifacts {
    /// The run that the runtime token belongs to.
    pub run: u64,
    /// Artifacts that anybody can see.
    pub stored: Vec<Artifact>,
    /// Created and not finalized.
    pub pending: BTreeMap<String, Pending>,
    /// The service's account has no room left.
    pub full: bool,
    /// The storage ignores `Range`.
    pub no_ranges: bool,
    pub(super) counter: u64,
}

impl Default for Artifacts {
    fn default() -> Self {
        Self { run: 1000, stored: Vec::new(), pending: BTreeMap::new(), full: false, no_ranges: false, counter: 0 }
    }
}

/// One complete artifact.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Artifact {
    pub id: u64,
    pub run: u64,
    pub name: String,
    pub mime: String,
    /// Sent as `Content-Disposition` when not empty.
    pub file: String,
    /// What the service says its digest is; empty says nothing.
    pub digest: String,
    pub expired: bool,
    /// Base64.
    pub content: String,
}

/// An upload under way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pending {
    pub mime: String,
    /// By block id, base64.
    pub blocks: BTreeMap<String, String>,
    /// The list, once it was put.
    pub list: Option<Vec<String>>,
}

impl Artifact {
    /// One file as it is.
    pub fn raw(file: &str, content: &[u8]) -> Self {
        let mime = if file.ends_with(".tar") { "application/x-tar" } else { "application/octet-stream" };
        Self {
            mime: mime.to_owned(),
            file: file.to_owned(),
            digest: digest(content),
            content: STANDARD.encode(content),
            ..Self::default()
        }
    }

    /// A zip archive of these files, stored.
    pub fn zip(files: &[(&str, &[u8])]) -> Self {
        Self { mime: "application/zip".into(), ..Self::raw("", &zip_of(files)) }
    }

    /// The content.
    pub fn bytes(&self) -> Bytes {
        STANDARD.decode(&self.content).expect("an artifact's base64").into()
    }

    /// Changes one byte in the middle, as a bad disk would; what the service says of it stays.
    #[must_use]
    pub fn damaged(mut self) -> Self {
        let mut bytes = self.bytes().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        self.content = STANDARD.encode(bytes);
        self
    }
}

impl Artifacts {
    /// Gives a run an artifact.
    pub fn put(&mut self, run: u64, name: &str, artifact: Artifact) -> u64 {
        self.counter += 1;
        let id = 500 + self.counter;
        self.stored.push(Artifact { id, run, name: name.to_owned(), ..artifact });
        id
    }

    /// A run's artifact of a name.
    pub fn of_run(&self, run: u64, name: &str) -> Option<&Artifact> {
        self.stored.iter().rev().find(|artifact| artifact.run == run && artifact.name == name)
    }
}

/// The runtime token of the world's job.
pub fn runtime_token() -> String {
    let claims = json!({ "scp": "Actions.GenericRead:00000000 Actions.Results:run-backend:job-backend" });
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

const SERVICE: &str = "/twirp/github.actions.results.api.v1.ArtifactService/";

/// The artifact service.
pub fn handle(state: &mut State, request: &Request) -> Reply {
    let Some(method) = request.path.strip_prefix(SERVICE).map(str::to_owned) else {
        return Reply::unknown(request);
    };
    if request.method != "POST" {
        return Reply::unknown(request);
    }
    if request.bearer() != Some(&runtime_token()) {
        return twirp(401, "unauthenticated", "invalid token");
    }
    let body = request.json();
    if body["workflow_run_backend_id"] != "run-backend" || body["workflow_job_run_backend_id"] != "job-backend" {
        return twirp(403, "permission_denied", "the ids are not those of the token");
    }
    let name = body["name"].as_str().unwrap_or_default().to_owned();
    match method.as_str() {
        "CreateArtifact" => create(state, request, &name, &body),
        "FinalizeArtifact" => finalize(state, &name, &body),
        "ListArtifacts" => list(state, &body),
        "GetSignedArtifactURL" => match state.artifacts.of_run(state.artifacts.run, &name) {
            Some(artifact) => Reply::json(200, &json!({ "signed_url": blob_url(state, request, artifact) })),
            None => twirp(404, "not_found", "no such artifact"),
        },
        "DeleteArtifact" => delete(state, &name),
        _ => Reply::unknown(request),
    }
}

fn create(state: &mut State, request: &Request, name: &str, body: &Value) -> Reply {
    if state.artifacts.full {
        return twirp(403, "permission_denied", "insufficient usage to create artifact");
    }
    let run = state.artifacts.run;
    if state.artifacts.of_run(run, name).is_some() || state.artifacts.pending.contains_key(name) {
        return twirp(409, "already_exists", "an artifact with this name already exists on the workflow run");
    }
    if body["version"].as_u64() != Some(7) {
        state.violation(format!("an upload of version {} is no raw one", body["version"]));
    }
    let mime = body["mime_type"].as_str().unwrap_or("application/zip").to_owned();
    state.artifacts.pending.insert(name.to_owned(), Pending { mime, ..Pending::default() });
    let coded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    let url = format!("{}/upload/{coded}?sv=2025&sig=up%2Fsecret", state.door_seen_from(request.host(), Door::Blobs));
    Reply::json(200, &json!({ "ok": true, "signed_upload_url": url }))
}

fn finalize(state: &mut State, name: &str, body: &Value) -> Reply {
    let Some(pending) = state.artifacts.pending.get(name).cloned() else {
        return twirp(404, "not_found", "no such upload");
    };
    let Some(list) = &pending.list else {
        return twirp(412, "failed_precondition", "no block list was put");
    };
    let blocks = list.iter().map(|id| STANDARD.decode(&pending.blocks[id]).expect("a block's base64"));
    let content = blocks.collect::<Vec<_>>().concat();
    if body["size"] != json!(content.len().to_string()) || body["hash"] != json!(digest(&content)) {
        return twirp(400, "invalid_argument", "size or hash are not those of the content");
    }
    state.artifacts.pending.remove(name);
    let run = state.artifacts.run;
    let id = state.artifacts.put(run, name, Artifact { mime: pending.mime, ..Artifact::raw(name, &content) });
    state.wrote(Skin::Results, &format!("artifact {name}"));
    Reply::json(200, &json!({ "ok": true, "artifact_id": id.to_string() }))
}

fn list(state: &State, body: &Value) -> Reply {
    let wanted = body["name_filter"].as_str();
    let own = state.artifacts.stored.iter().filter(|artifact| artifact.run == state.artifacts.run);
    let fitting = own.filter(|artifact| wanted.is_none_or(|wanted| wanted == artifact.name));
    let artifacts: Vec<Value> = fitting
        .map(|artifact| {
            json!({
                "workflow_run_backend_id": "run-backend",
                "workflow_job_run_backend_id": "job-backend",
                "database_id": artifact.id.to_string(),
                "name": artifact.name,
                "size": artifact.bytes().len().to_string(),
                "created_at": "2026-01-01T00:00:00Z",
                "digest": artifact.digest,
            })
        })
        .collect();
    Reply::json(200, &json!({ "artifacts": artifacts }))
}

fn delete(state: &mut State, name: &str) -> Reply {
    let run = state.artifacts.run;
    let unfinished = state.artifacts.pending.remove(name).is_some();
    let Some(id) = state.artifacts.of_run(run, name).map(|artifact| artifact.id) else {
        return if unfinished {
            Reply::json(200, &json!({ "ok": true, "artifact_id": "0" }))
        } else {
            twirp(404, "not_found", "no such artifact")
        };
    };
    state.artifacts.stored.retain(|artifact| artifact.id != id);
    state.wrote(Skin::Results, &format!("artifact {name} removed"));
    Reply::json(200, &json!({ "ok": true, "artifact_id": id.to_string() }))
}

fn twirp(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "code": code, "msg": message }))
}

fn blob_url(state: &State, request: &Request, artifact: &Artifact) -> String {
    format!("{}/blob/{}?sv=2025&sig=down%2Fsecret", state.door_seen_from(request.host(), Door::Blobs), artifact.id)
}

/// The storage. Nobody's credentials must reach it.
pub fn handle_blobs(state: &mut State, request: &Request) -> Reply {
    if request.header("authorization").is_some() {
        state.violation("the storage was sent the Authorization header");
    }
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (request.method.as_str(), segments.as_slice()) {
        ("PUT", ["upload", name]) if request.query("sig") == Some("up/secret") => put(state, request, name),
        ("GET", ["blob", id]) if request.query("sig") == Some("down/secret") => get(state, request, id),
        (_, ["upload" | "blob", _]) => Reply::empty(403),
        _ => Reply::unknown(request),
    }
}

fn put(state: &mut State, request: &Request, name: &str) -> Reply {
    let Some(pending) = state.artifacts.pending.get_mut(name) else {
        return Reply::empty(404);
    };
    match (request.query("comp"), request.query("blockid")) {
        (Some("block"), Some(id)) => {
            pending.blocks.insert(id.to_owned(), STANDARD.encode(&request.body));
            Reply::empty(201)
        }
        (Some("blocklist"), None) => {
            let text = String::from_utf8_lossy(&request.body).into_owned();
            let ids = text.split("<Latest>").skip(1).filter_map(|part| part.split_once("</Latest>"));
            let ids: Vec<String> = ids.map(|(id, _)| id.to_owned()).collect();
            if ids.iter().any(|id| !pending.blocks.contains_key(id)) {
                return Reply::empty(400);
            }
            if request.header("x-ms-blob-content-type") != Some(pending.mime.as_str()) {
                state.violation("the block list names another type than the artifact");
                return Reply::empty(400);
            }
            pending.list = Some(ids);
            Reply::empty(201)
        }
        _ => Reply::unknown(request),
    }
}

fn get(state: &State, request: &Request, id: &str) -> Reply {
    let Some(artifact) = state.artifacts.stored.iter().find(|artifact| artifact.id.to_string() == id) else {
        return Reply::empty(404);
    };
    let bytes = artifact.bytes();
    let all = bytes.len();
    let range = request.header("range").filter(|_| !state.artifacts.no_ranges);
    let range = range.and_then(|range| range.strip_prefix("bytes=")).and_then(|range| range.split_once('-'));
    let part = match range {
        None => None,
        Some(("", last)) => Some((all.saturating_sub(last.parse().expect("a number")), all)),
        Some((first, "")) => Some((first.parse().expect("a number"), all)),
        Some((first, last)) => {
            Some((first.parse().expect("a number"), last.parse::<usize>().expect("a number").min(all - 1) + 1))
        }
    };
    let reply = match part {
        None => Reply::bytes(200, &artifact.mime, bytes),
        Some((first, _)) if first >= all && all > 0 => return Reply::empty(416),
        Some((first, end)) => Reply::bytes(206, &artifact.mime, bytes.slice(first..end))
            .header("content-range", format!("bytes {first}-{}/{all}", end.saturating_sub(1))),
    };
    if artifact.file.is_empty() {
        return reply;
    }
    reply.header("content-disposition", format!("attachment; filename=\"{}\"", artifact.file))
}

/// `GET /repos/{o}/{r}/actions/runs/{run}/artifacts` and `…/artifacts/{id}/zip`.
pub fn rest(state: &State, request: &Request, rest: &[&str]) -> Option<Reply> {
    match rest {
        ["actions", "runs", run, "artifacts"] => {
            let wanted = request.query("name");
            let of_run = state.artifacts.stored.iter().filter(|artifact| artifact.run.to_string() == *run);
            let fitting = of_run.filter(|artifact| wanted.is_none_or(|wanted| wanted == artifact.name));
            let all: Vec<Value> = fitting.map(entry).collect();
            let size: usize = request.query("per_page").and_then(|size| size.parse().ok()).unwrap_or(30);
            let page: usize = request.query("page").and_then(|page| page.parse().ok()).unwrap_or(1);
            let shown: Vec<&Value> = all.iter().skip((page - 1) * size).take(size).collect();
            Some(Reply::json(200, &json!({ "total_count": all.len(), "artifacts": shown })))
        }
        ["actions", "artifacts", id, "zip"] => {
            let found = state.artifacts.stored.iter().find(|artifact| artifact.id.to_string() == *id);
            Some(match found {
                None => Reply::json(404, &json!({ "message": "Not Found" })),
                Some(artifact) if artifact.expired => Reply::json(410, &json!({ "message": "Artifact has expired" })),
                Some(artifact) => Reply::empty(302).header("location", blob_url(state, request, artifact)),
            })
        }
        _ => None,
    }
}

fn entry(artifact: &Artifact) -> Value {
    json!({
        "id": artifact.id,
        "name": artifact.name,
        "size_in_bytes": artifact.bytes().len(),
        "expired": artifact.expired,
        "digest": (!artifact.digest.is_empty()).then_some(&artifact.digest),
        "created_at": "2026-01-01T00:00:00Z",
        "workflow_run": { "id": artifact.run },
    })
}

/// A zip archive of these files, stored, as Python's `zipfile` writes it.
pub fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut list) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let offset = u32::try_from(bytes.len()).expect("a small archive");
        let size = u32::try_from(content.len()).expect("a small file").to_le_bytes();
        let length = u16::try_from(name.len()).expect("a short name").to_le_bytes();
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(crc32fast::hash(content).to_le_bytes());
        common.extend([size, size].concat());
        common.extend(length);
        common.extend([0, 0]);
        bytes.extend(*b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(*content);
        list.extend(*b"PK\x01\x02\x14\x00");
        list.extend(&common);
        list.extend([0; 10]);
        list.extend(offset.to_le_bytes());
        list.extend(name.as_bytes());
    }
    let place = [list.len(), bytes.len()].map(|length| u32::try_from(length).expect("a small archive").to_le_bytes());
    let count = u16::try_from(files.len()).expect("few files").to_le_bytes();
    bytes.extend(list);
    bytes.extend(*b"PK\x05\x06\0\0\0\0");
    bytes.extend([count, count].concat());
    bytes.extend(place.concat());
    bytes.extend([0, 0]);
    bytes
}

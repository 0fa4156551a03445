//! Purpose: a minimal OCI distribution registry (specification 1.1) over the same images that ECR shows.
//!
//! Asks for nothing, for basic credentials, or for a bearer token as GHCR does ([`Auth`]).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::archive::digest;
use super::faults::matches;
use super::http::{Reply, Request, Skin};
use super::images::{Auth, INDEX, ImageRepository, MANIFEST};
use super::state::State;

/// One request.
pub fn handle(state: &mut State, request: &Request) -> Reply {
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let reply = match segments.as_slice() {
        ["token"] => token(state, request),
        ["v2"] | ["v2", ""] => admitted(state, request, None).err().unwrap_or_else(|| Reply::json(200, &json!({}))),
        ["v2", name @ .., "manifests", reference] => manifest(state, request, &name.join("/"), reference),
        ["v2", name @ .., "blobs", "uploads", id] => upload(state, request, &name.join("/"), id),
        ["v2", name @ .., "blobs", digest] => blob(state, request, &name.join("/"), digest),
        ["v2", name @ .., "tags", "list"] => tags(state, request, &name.join("/")),
        ["v2", name @ .., "referrers", digest] => referrers(state, request, &name.join("/"), digest),
        _ => Reply::unknown(request),
    };
    reply.header("docker-distribution-api-version", "registry/2.0")
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "errors": [{ "code": code, "message": message }] }))
}

/// What a request wants to do to a repository.
#[derive(Clone, Copy)]
struct Wish<'a> {
    name: &'a str,
    push: bool,
}

impl Wish<'_> {
    fn scope(self) -> String {
        format!("repository:{}:{}", self.name, if self.push { "pull,push" } else { "pull" })
    }
}

/// The credentials of a basic `Authorization`.
fn basic(request: &Request) -> Option<(String, String)> {
    let coded = request.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(coded).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Whether a request may do what it wants; the refusal otherwise.
fn admitted(state: &State, request: &Request, wish: Option<Wish<'_>>) -> Result<(), Reply> {
    let refused = wish.is_some_and(|wish| state.images.denied.iter().any(|glob| matches(glob, wish.name)));
    match &state.images.auth {
        Auth::Open => {}
        Auth::Basic { username, password } => {
            if basic(request) != Some((username.clone(), password.clone())) {
                let reply = error(401, "UNAUTHORIZED", "authentication required");
                return Err(reply.header("www-authenticate", "Basic realm=\"world\""));
            }
        }
        Auth::Bearer { password, .. } => {
            let token = request.bearer().unwrap_or_default();
            let itself = token == STANDARD.encode(password);
            let scopes = state.images.tokens.get(token);
            let fits = scopes.is_some_and(|scopes| wish.is_none_or(|wish| covers(scopes, wish)));
            if !itself && !fits {
                return Err(challenge(state, request, wish));
            }
        }
    }
    if refused {
        return Err(error(403, "DENIED", "requested access to the resource is denied"));
    }
    Ok(())
}

fn covers(scopes: &[String], wish: Wish<'_>) -> bool {
    let action = if wish.push { "push" } else { "pull" };
    let prefix = format!("repository:{}:", wish.name);
    scopes.iter().filter_map(|scope| scope.strip_prefix(&prefix)).any(|rest| rest.split(',').any(|a| a == action))
}

fn challenge(state: &State, request: &Request, wish: Option<Wish<'_>>) -> Reply {
    let scope = wish.map(|wish| format!(",scope=\"{}\"", wish.scope())).unwrap_or_default();
    let realm = state.door_seen_from(request.host(), super::Door::Registry);
    error(401, "UNAUTHORIZED", "authentication required")
        .header("www-authenticate", format!("Bearer realm=\"{realm}/token\",service=\"world\"{scope}"))
}

/// `GET /token?service=…&scope=…`: to the known user for everything, to nobody in particular for public pulls.
fn token(state: &mut State, request: &Request) -> Reply {
    let Auth::Bearer { username, password } = state.images.auth.clone() else {
        return Reply::unknown(request);
    };
    let given = basic(request);
    if given.is_some() && given != Some((username, password)) {
        return error(403, "DENIED", "denied: wrong credentials");
    }
    let wanted = request.query.iter().filter(|(name, _)| name == "scope").map(|(_, scope)| scope.clone());
    let wanted: Vec<String> = wanted.flat_map(|text| text.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
    for scope in &wanted {
        let name = scope.split(':').nth(1).unwrap_or_default();
        let public = state.images.repositories.get(name).is_some_and(|repository| !repository.private);
        if given.is_none() && (!public || scope.contains("push")) {
            return error(401, "UNAUTHORIZED", "authentication required");
        }
        if state.images.denied.iter().any(|glob| matches(glob, name)) {
            return error(403, "DENIED", "requested access to the resource is denied");
        }
    }
    let token = format!("registry-token-{:04}", state.images.tokens.len() + 1);
    state.images.tokens.insert(token.clone(), wanted);
    Reply::json(200, &json!({ "token": token, "access_token": token, "expires_in": 300 }))
}

fn known<'a>(state: &'a State, name: &str) -> Result<&'a ImageRepository, Reply> {
    let found = state.images.repositories.get(name);
    found.ok_or_else(|| error(404, "NAME_UNKNOWN", "repository name not known to registry"))
}

fn settled(result: Result<Reply, Reply>) -> Reply {
    result.unwrap_or_else(|refusal| refusal)
}

fn manifest(state: &mut State, request: &Request, name: &str, reference: &str) -> Reply {
    settled(match request.method.as_str() {
        "GET" | "HEAD" => read_manifest(state, request, name, reference),
        "PUT" => put_manifest(state, request, name, reference),
        "DELETE" => delete_manifest(state, request, name, reference),
        _ => Ok(Reply::unknown(request)),
    })
}

fn read_manifest(state: &State, request: &Request, name: &str, reference: &str) -> Result<Reply, Reply> {
    admitted(state, request, Some(Wish { name, push: false }))?;
    let found = known(state, name)?.find(reference);
    let (digest, found) = found.ok_or_else(|| error(404, "MANIFEST_UNKNOWN", "manifest unknown"))?;
    Ok(Reply::bytes(200, &found.media_type, found.text.clone()).header("docker-content-digest", digest))
}

fn put_manifest(state: &mut State, request: &Request, name: &str, reference: &str) -> Result<Reply, Reply> {
    admitted(state, request, Some(Wish { name, push: true }))?;
    let invalid = |why: &str| error(400, "MANIFEST_INVALID", why);
    let body = request.json();
    let text = String::from_utf8(request.body.to_vec()).map_err(|_| invalid("not UTF-8"))?;
    let declared = body["mediaType"].as_str().or(request.header("content-type"));
    let media_type = declared.ok_or_else(|| invalid("no media type"))?.to_owned();
    let computed = digest(text.as_bytes());
    if reference.contains(':') && reference != computed {
        return Err(error(400, "DIGEST_INVALID", "provided digest did not match uploaded content"));
    }
    let repository = state.images.repository(name);
    if let Some(missing) = missing_part(repository, &body, &media_type) {
        return Err(error(404, "MANIFEST_BLOB_UNKNOWN", &format!("blob unknown to registry: {missing}")));
    }
    let tag = (!reference.contains(':')).then_some(reference);
    let pushed = repository.push(&media_type, &text, tag);
    let now = state.clock.now();
    if let Some(manifest) = state.images.repository(name).manifests.get_mut(&pushed) {
        manifest.pushed_at = Some(now);
    }
    state.wrote(Skin::Registry, &format!("push {name}:{reference}"));
    let location = format!("/v2/{name}/manifests/{pushed}");
    Ok(Reply::empty(201).header("location", location).header("docker-content-digest", pushed))
}

/// The first part that a manifest names and the repository does not hold.
fn missing_part(repository: &ImageRepository, body: &Value, media_type: &str) -> Option<String> {
    let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
    let digest = |part: &Value| part["digest"].as_str().unwrap_or_default().to_owned();
    if media_type == INDEX || media_type.contains("manifest.list") {
        return list("manifests").iter().map(digest).find(|digest| !repository.manifests.contains_key(digest));
    }
    let config = std::iter::once(body["config"].clone());
    config.chain(list("layers")).map(|part| digest(&part)).find(|digest| !repository.blobs.contains_key(digest))
}

fn delete_manifest(state: &mut State, request: &Request, name: &str, reference: &str) -> Result<Reply, Reply> {
    admitted(state, request, Some(Wish { name, push: true }))?;
    if state.images.no_delete {
        return Err(error(405, "UNSUPPORTED", "the operation is unsupported"));
    }
    known(state, name)?;
    let repository = state.images.repository(name);
    if reference.contains(':') {
        repository.manifests.remove(reference).ok_or_else(|| error(404, "MANIFEST_UNKNOWN", "manifest unknown"))?;
        repository.tags.retain(|_, digest| digest != reference);
    } else {
        repository.tags.remove(reference).ok_or_else(|| error(404, "MANIFEST_UNKNOWN", "manifest unknown"))?;
    }
    state.wrote(Skin::Registry, &format!("delete {name}:{reference}"));
    Ok(Reply::empty(202))
}

fn blob(state: &mut State, request: &Request, name: &str, reference: &str) -> Reply {
    settled(match request.method.as_str() {
        "GET" | "HEAD" => read_blob(state, request, name, reference),
        // `POST /v2/<name>/blobs/uploads/` ends in an empty segment, which some clients leave out.
        "POST" if reference == "uploads" => begin_upload(state, request, name),
        _ => Ok(Reply::unknown(request)),
    })
}

fn read_blob(state: &State, request: &Request, name: &str, reference: &str) -> Result<Reply, Reply> {
    admitted(state, request, Some(Wish { name, push: false }))?;
    let coded = known(state, name)?.blobs.get(reference);
    let coded = coded.ok_or_else(|| error(404, "BLOB_UNKNOWN", "blob unknown to registry"))?;
    let data = STANDARD.decode(coded).expect("a blob's base64");
    Ok(Reply::bytes(200, "application/octet-stream", data).header("docker-content-digest", reference))
}

fn begin_upload(state: &mut State, request: &Request, name: &str) -> Result<Reply, Reply> {
    admitted(state, request, Some(Wish { name, push: true }))?;
    if let (Some(mounted), Some(from)) = (request.query("mount"), request.query("from")) {
        let known = state.images.repositories.get(from).and_then(|other| other.blobs.get(mounted)).cloned();
        if let Some(data) = known {
            state.images.repository(name).blobs.insert(mounted.to_owned(), data);
            return Ok(Reply::empty(201).header("location", format!("/v2/{name}/blobs/{mounted}")));
        }
    }
    if let Some(wanted) = request.query("digest") {
        return store(state, name, wanted, &request.body);
    }
    let id = format!("upload-{}", state.aws.next());
    state.images.repository(name).uploads.insert(id.clone(), Vec::new());
    let location = format!("/v2/{name}/blobs/uploads/{id}");
    Ok(Reply::empty(202).header("location", location).header("docker-upload-uuid", id).header("range", "0-0"))
}

fn upload(state: &mut State, request: &Request, name: &str, id: &str) -> Reply {
    if request.method == "POST" && id.is_empty() {
        return settled(begin_upload(state, request, name));
    }
    settled(continue_upload(state, request, name, id))
}

fn continue_upload(state: &mut State, request: &Request, name: &str, id: &str) -> Result<Reply, Reply> {
    admitted(state, request, Some(Wish { name, push: true }))?;
    let repository = state.images.repository(name);
    let unknown = || error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    let data = repository.uploads.get_mut(id).ok_or_else(unknown)?;
    data.extend_from_slice(&request.body);
    match request.method.as_str() {
        "PATCH" => {
            let range = format!("0-{}", data.len().saturating_sub(1));
            let location = format!("/v2/{name}/blobs/uploads/{id}");
            Ok(Reply::empty(202).header("location", location).header("range", range))
        }
        "PUT" => {
            let data = Bytes::from(repository.uploads.remove(id).unwrap_or_default());
            store(state, name, request.query("digest").unwrap_or_default(), &data)
        }
        _ => Ok(Reply::unknown(request)),
    }
}

fn store(state: &mut State, name: &str, wanted: &str, data: &Bytes) -> Result<Reply, Reply> {
    if digest(data) != wanted {
        return Err(error(400, "DIGEST_INVALID", "provided digest did not match uploaded content"));
    }
    state.images.repository(name).blobs.insert(wanted.to_owned(), STANDARD.encode(data));
    let location = format!("/v2/{name}/blobs/{wanted}");
    Ok(Reply::empty(201).header("location", location).header("docker-content-digest", wanted))
}

fn tags(state: &State, request: &Request, name: &str) -> Reply {
    settled(admitted(state, request, Some(Wish { name, push: false })).and_then(|()| list_tags(state, request, name)))
}

fn list_tags(state: &State, request: &Request, name: &str) -> Result<Reply, Reply> {
    let repository = known(state, name)?;
    let last = request.query("last").unwrap_or_default();
    let size = request.query("n").and_then(|n| n.parse().ok()).unwrap_or(state.images.page_size.max(1));
    let left: Vec<&String> = repository.tags.keys().filter(|tag| tag.as_str() > last).collect();
    let page: Vec<&&String> = left.iter().take(size).collect();
    let reply = Reply::json(200, &json!({ "name": name, "tags": page }));
    match page.last() {
        Some(end) if left.len() > size => {
            Ok(reply.header("link", format!("</v2/{name}/tags/list?last={end}&n={size}>; rel=\"next\"")))
        }
        _ => Ok(reply),
    }
}

fn referrers(state: &State, request: &Request, name: &str, subject: &str) -> Reply {
    settled(admitted(state, request, Some(Wish { name, push: false })).and_then(|()| {
        if state.images.no_referrers {
            return Err(error(404, "UNSUPPORTED", "404 page not found"));
        }
        let found: Vec<Value> = known(state, name)?
            .manifests
            .iter()
            .filter_map(|(digest, manifest)| {
                let body: Value = serde_json::from_str(&manifest.text).ok()?;
                (body["subject"]["digest"] == subject).then(|| {
                    json!({ "mediaType": manifest.media_type, "digest": digest, "size": manifest.text.len(),
                        "artifactType": body["artifactType"].as_str().unwrap_or(MANIFEST) })
                })
            })
            .collect();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": found });
        Ok(Reply::bytes(200, INDEX, index.to_string()))
    }))
}

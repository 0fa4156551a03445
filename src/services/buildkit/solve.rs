//! Purpose: one build from request to result.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::PathBuf;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::{
    CacheOptions, CacheOptionsEntry, Exporter, SolveRequest, SolveResponse, StatusRequest, StatusResponse,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::connection;
use super::progress::Progress;
use super::session::{FileFault, Files, Services, Session, latest, note_latest};
use super::sources::Sources;
use super::{
    AnnotationTarget, ArchiveSink, Attestation, BuildError, BuildRequest, Built, CacheUse, Logins, Output, Pull,
    RunNetwork, Scheme, Transport, failure,
};
use crate::domain::build_event::BuildEvent;
use crate::domain::cache_option::CacheEntry;
use crate::domain::names::Digest;
use crate::domain::reference::ImageRef;
use crate::services::engine::Store;

/// Quiet time after the result, after which no more status is expected.
const LAST_STATUS: Duration = Duration::from_secs(3);

/// Runs the build.
pub(super) async fn build(
    transport: &Transport,
    request: &BuildRequest,
    logins: &Logins,
    sink: Option<ArchiveSink>,
    events: mpsc::Sender<BuildEvent>,
) -> Result<Built, BuildError> {
    check(transport, request)?;
    let request = &with_cache_digests(request).await;
    let sources = Sources::of(request)?;
    let mut control = connection::control(connection::connect(transport).await?);
    let files = Files::new(sources.folders.clone());
    let services = Services::new(files.clone(), logins, request, sink);
    let session = Session::open(control.clone(), new_id(), &sources.shared_key, services)
        .await
        .map_err(|status| failure::of_call(status, transport, "refuses the session"))?;
    let reference = new_id();
    let solve = solve_request(transport, request, &sources, reference.clone(), session.id());
    let mut progress = Progress::new(sources.shown.clone());
    let mut watched = control.clone();
    let watch = async move {
        let status = watched.status(StatusRequest { r#ref: reference }).await;
        status.map(tonic::Response::into_inner)
    };
    let solved = run(control.solve(solve), watch, &mut progress, &events).await;
    drop(session);
    match solved {
        Ok(response) => {
            note_caches(request, &response).await?;
            Ok(built(transport, &request.output, response))
        }
        Err(status) => Err(match files.fault(&status) {
            Some(FileFault { path, source }) => BuildError::Context { path, source },
            None => failure::of_solve(&status, &mut progress, transport, &sources.dockerfile().await),
        }),
    }
}

/// Awaits the result while the status stream is turned into events, and then the rest of that stream.
async fn run(
    solve: impl Future<Output = Result<tonic::Response<SolveResponse>, Status>>,
    watch: impl Future<Output = Result<Streaming<StatusResponse>, Status>>,
    progress: &mut Progress,
    events: &mpsc::Sender<BuildEvent>,
) -> Result<SolveResponse, Status> {
    // A status stream that fails is no failure of the build: the result says how that went.
    let statuses = futures_util::stream::once(watch).try_flatten();
    tokio::pin!(solve, statuses);
    let mut solved = None;
    let mut watching = true;
    loop {
        let status = match &solved {
            None => tokio::select! {
                result = &mut solve => {
                    solved = Some(result);
                    continue;
                }
                status = statuses.next(), if watching => status,
            },
            Some(_) if watching => tokio::time::timeout(LAST_STATUS, statuses.next()).await.unwrap_or_default(),
            Some(_) => None,
        };
        if let Some(Ok(status)) = status {
            for event in progress.take(status) {
                // Nobody has to listen.
                let _ = events.send(event).await;
            }
            continue;
        }
        watching = false;
        if let Some(result) = solved {
            return result.map(tonic::Response::into_inner);
        }
    }
}

/// Refuses what would be understood as something else: the builder takes these values as comma-separated lists.
fn check(transport: &Transport, request: &BuildRequest) -> Result<(), BuildError> {
    let invalid = |message: String| Err(BuildError::Invalid(message));
    if request.output == Output::EngineStore && !transport.is_engine() {
        return invalid(format!("the builder at {} has no engine that could keep the image", transport.place()));
    }
    for tag in &request.tags {
        if let Err(error) = tag.parse::<ImageRef>() {
            return invalid(error.to_string());
        }
    }
    for (name, address) in &request.add_hosts {
        if name.is_empty() || address.is_empty() || name.contains(['=', ',', '"']) || address.contains([',', '"']) {
            return invalid(format!("'{name}={address}' is not a host name and its address"));
        }
    }
    match &request.cache {
        CacheUse::NotForStages(stages) if stages.is_empty() || stages.iter().any(|stage| stage.contains(',')) => {
            invalid("the stages that are not cached must be named, each by its own name".to_owned())
        }
        _ => Ok(()),
    }
}

fn solve_request(
    transport: &Transport,
    request: &BuildRequest,
    sources: &Sources,
    reference: String,
    session: &str,
) -> SolveRequest {
    let exporter = exporter(transport, request);
    let host_network = request.network == RunNetwork::Host;
    SolveRequest {
        r#ref: reference,
        session: session.to_owned(),
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: frontend_attributes(transport, request, sources),
        cache: Some(cache(request)),
        entitlements: if host_network { vec!["network.host".to_owned()] } else { Vec::new() },
        // Before BuildKit 0.13 there was room for one exporter only, in these fields.
        exporter_deprecated: exporter.as_ref().map(|exporter| exporter.r#type.clone()).unwrap_or_default(),
        exporter_attrs_deprecated: exporter.as_ref().map(|exporter| exporter.attrs.clone()).unwrap_or_default(),
        exporters: exporter.into_iter().collect(),
        ..SolveRequest::default()
    }
}

/// A cache in a folder is imported by its manifest's digest, which the folder's index tells; one that is not there yet is
/// left out.
async fn with_cache_digests(request: &BuildRequest) -> BuildRequest {
    let mut request = request.clone();
    let mut entries = Vec::new();
    for mut entry in std::mem::take(&mut request.cache_from) {
        if entry.kind == "local" && !entry.attributes.contains_key("digest") {
            let folder = entry.attributes.get("src").map(PathBuf::from).unwrap_or_default();
            let tag = entry.attributes.get("tag").map_or("latest", String::as_str);
            let Some(digest) = latest(&folder, tag).await else { continue };
            entry.attributes.insert("digest".to_owned(), digest);
        }
        entries.push(entry);
    }
    request.cache_from = entries;
    request
}

/// Names the manifest of an exported cache in the folders that have it now.
async fn note_caches(request: &BuildRequest, response: &SolveResponse) -> Result<(), BuildError> {
    let Some(descriptor) = response.exporter_response.get("cache.manifest") else {
        return Ok(());
    };
    for entry in request.cache_to.iter().filter(|entry| entry.kind == "local") {
        let folder = entry.attributes.get("dest").map(PathBuf::from).unwrap_or_default();
        let tag = entry.attributes.get("tag").map_or("latest", String::as_str);
        let noted = note_latest(&folder, tag, descriptor).await;
        noted.map_err(|source| BuildError::Context { path: folder, source })?;
    }
    Ok(())
}

fn cache(request: &BuildRequest) -> CacheOptions {
    let entries = |entries: &[CacheEntry]| -> Vec<CacheOptionsEntry> {
        let entry = |entry: &CacheEntry| CacheOptionsEntry {
            r#type: entry.kind.clone(),
            attrs: entry.attributes.clone().into_iter().collect(),
        };
        entries.iter().map(entry).collect()
    };
    let (exports, imports) = (entries(&request.cache_to), entries(&request.cache_from));
    CacheOptions { exports, imports, ..CacheOptions::default() }
}

fn push_attributes(attributes: &mut HashMap<String, String>, names: &[String], scheme: Scheme) {
    attributes.insert("name".to_owned(), names.join(","));
    attributes.insert("push".to_owned(), "true".to_owned());
    if scheme == Scheme::Insecure {
        attributes.insert("registry.insecure".to_owned(), "true".to_owned());
    }
}

fn exporter(transport: &Transport, request: &BuildRequest) -> Option<Exporter> {
    let mut attrs = HashMap::new();
    let kind = match &request.output {
        Output::Nothing => return None,
        Output::EngineStore => "moby",
        Output::Archive => "docker",
        Output::Push { tags, scheme } => {
            push_attributes(&mut attrs, tags, *scheme);
            "image"
        }
        Output::PushDigest { repositories, scheme } => {
            push_attributes(&mut attrs, repositories, *scheme);
            attrs.insert("push-by-digest".to_owned(), "true".to_owned());
            "image"
        }
    };
    if transport.is_engine() && matches!(request.output, Output::Push { .. } | Output::PushDigest { .. }) {
        // An engine's builder would keep what it pushes under the names that it pushes to.
        attrs.insert("store".to_owned(), "false".to_owned());
    }
    if matches!(request.output, Output::EngineStore | Output::Archive) && !request.tags.is_empty() {
        attrs.insert("name".to_owned(), request.tags.join(","));
    }
    for (target, key, value) in &request.annotations {
        let target = match target {
            AnnotationTarget::Manifest => "annotation",
            AnnotationTarget::Index => "annotation-index",
            AnnotationTarget::ManifestDescriptor => "annotation-manifest-descriptor",
        };
        attrs.insert(format!("{target}.{key}"), value.clone());
    }
    if !request.annotations.is_empty() || !request.attestations.is_empty() {
        // Docker's own manifest types have no room for them.
        attrs.insert("oci-mediatypes".to_owned(), "true".to_owned());
    }
    Some(Exporter { r#type: kind.to_owned(), attrs })
}

/// The frontend's options (`frontend/dockerui` and `docs/reference/buildctl.md` of BuildKit).
fn frontend_attributes(transport: &Transport, request: &BuildRequest, sources: &Sources) -> HashMap<String, String> {
    let mut attributes: HashMap<String, String> = sources.attributes.clone().into_iter().collect();
    attributes.insert("filename".to_owned(), sources.filename.clone());
    let mut set = |key: &str, value: String| drop(attributes.insert(key.to_owned(), value));
    if let Some(target) = &request.target {
        set("target", target.clone());
    }
    if !request.platforms.is_empty() {
        set("platform", request.platforms.join(","));
    }
    for (attestation, settings) in &request.attestations {
        let name = match attestation {
            Attestation::Provenance => "attest:provenance",
            Attestation::Sbom => "attest:sbom",
        };
        set(name, settings.clone());
    }
    if let Some(imports) = cache_imports(request) {
        set("cache-imports", imports);
    }
    for (name, value) in &request.build_args {
        set(&format!("build-arg:{name}"), value.clone());
    }
    for (name, value) in &request.labels {
        set(&format!("label:{name}"), value.clone());
    }
    match &request.cache {
        CacheUse::All => {}
        CacheUse::Nothing => set("no-cache", String::new()),
        CacheUse::NotForStages(stages) => set("no-cache", stages.join(",")),
    }
    match (request.pull, transport.is_engine()) {
        (Pull::Always, _) => set("image-resolve-mode", "pull".to_owned()),
        (Pull::IfMissing, true) => set("image-resolve-mode", "local".to_owned()),
        (Pull::IfMissing, false) => {}
    }
    if !request.add_hosts.is_empty() {
        let hosts: Vec<_> = request.add_hosts.iter().map(|(name, address)| format!("{name}={address}")).collect();
        set("add-hosts", hosts.join(","));
    }
    match request.network {
        RunNetwork::Sandbox => {}
        RunNetwork::Host => set("force-network-mode", "host".to_owned()),
        RunNetwork::None => set("force-network-mode", "none".to_owned()),
    }
    if let Some(bytes) = request.shm_size {
        set("shm-size", bytes.to_string());
    }
    attributes
}

/// The frontend asks for its cache by itself, beside the solver (`client/solve.go`).
fn cache_imports(request: &BuildRequest) -> Option<String> {
    let entry = |entry: &CacheEntry| serde_json::json!({"Type": entry.kind, "Attrs": entry.attributes});
    let entries: Vec<_> = request.cache_from.iter().map(entry).collect();
    (!entries.is_empty()).then(|| serde_json::Value::Array(entries).to_string())
}

/// What the exporter's answer means, which depends on how the engine stores images.
fn built(transport: &Transport, output: &Output, response: SolveResponse) -> Built {
    let response: BTreeMap<String, String> = response.exporter_response.into_iter().collect();
    let digest = |key: &str| -> Option<Digest> { response.get(key)?.parse().ok() };
    let main = digest("containerimage.digest");
    let config = digest("containerimage.config.digest");
    let (config_digest, manifest_digest) = match transport.store().filter(|_| *output == Output::EngineStore) {
        Some(Store::Graph) => (config.or(main.clone()), None),
        _ => (config, main.clone()),
    };
    let stored = *output == Output::EngineStore;
    let image_id = main.filter(|_| stored).map(|digest| digest.to_string());
    Built { image_id, config_digest, manifest_digest, response }
}

/// A fresh identifier: unique, not secret. The standard library's hash keys are the randomness.
fn new_id() -> String {
    let word = || std::hash::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

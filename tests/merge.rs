//! `merge` against a real registry, with images that `build` and plain requests put there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end by panicking")]

#[path = "support/engine.rs"]
mod engine;
mod support;
mod world;

use engine::{registry, unique};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::Landfall;
use world::World;
use world::artifacts::{Artifact, runtime_token};
use world::http::Door;

const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// A repository of the open registry that is nobody else's.
struct Repository {
    path: String,
    client: reqwest::Client,
}

impl Repository {
    fn new() -> Self {
        Self { path: unique("merge"), client: landfall::services::http::client().unwrap() }
    }

    fn name(&self) -> String {
        format!("{}/{}", registry(), self.path)
    }

    fn url(&self, rest: &str) -> String {
        format!("http://{}/v2/{}/{rest}", registry(), self.path)
    }

    async fn blob(&self, content: &[u8]) -> String {
        let begun = self.client.post(self.url("blobs/uploads/")).send().await.unwrap();
        let place = begun.headers()["location"].to_str().unwrap().to_owned();
        let place = if place.starts_with('/') { format!("http://{}{place}", registry()) } else { place };
        let joint = if place.contains('?') { '&' } else { '?' };
        let digest = digest(content);
        let put =
            self.client.put(format!("{place}{joint}digest={digest}")).body(content.to_vec()).send().await.unwrap();
        assert!(put.status().is_success(), "{put:?}");
        digest
    }

    async fn put(&self, media_type: &str, manifest: &Value) -> String {
        let body = manifest.to_string().into_bytes();
        let digest = digest(&body);
        let url = self.url(&format!("manifests/{digest}"));
        let put = self.client.put(url).header("content-type", media_type).body(body).send().await.unwrap();
        assert!(put.status().is_success(), "{put:?}");
        digest
    }

    /// An image without layers for a platform, by digest alone.
    async fn image(&self, architecture: &str) -> String {
        let config = json!({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}})
            .to_string();
        let config_digest = self.blob(config.as_bytes()).await;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_IMAGE, "layers": [],
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config.len()},
        });
        self.put(OCI_IMAGE, &manifest).await
    }

    /// The same within an index, beside an attestation, as builders with attestations push it.
    async fn attested(&self, architecture: &str) -> String {
        let image = self.image(architecture).await;
        let attestation = self.image("unknown").await;
        let index = json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX,
            "manifests": [
                {"mediaType": OCI_IMAGE, "digest": image, "size": 1, "platform": {"os": "linux", "architecture": architecture}},
                {"mediaType": OCI_IMAGE, "digest": attestation, "size": 1, "platform": {"os": "unknown", "architecture": "unknown"},
                 "annotations": {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image}},
            ],
        });
        self.put(OCI_INDEX, &index).await
    }

    async fn manifest(&self, tag: &str) -> Option<(String, Value)> {
        let asked = self.client.get(self.url(&format!("manifests/{tag}"))).header("accept", OCI_INDEX);
        let answer = asked.send().await.unwrap();
        if answer.status() == 404 {
            return None;
        }
        let digest = answer.headers()["docker-content-digest"].to_str().unwrap().to_owned();
        Some((digest, answer.json().await.unwrap()))
    }
}

fn merge(repository: &Repository, digests: &[String]) -> Landfall {
    Landfall::new("merge").inputs(&[
        ("tags", format!("{0}:v1, {0}:latest", repository.name()).as_str()),
        ("digests", &digests.join("\n")),
    ])
}

#[tokio::test]
async fn parts_become_one_index_under_every_tag() {
    let repository = Repository::new();
    let parts =
        [repository.attested("amd64").await, format!("{}@{}", repository.name(), repository.image("arm64").await)];
    let outcome = merge(&repository, &parts).input("annotations", "org.opencontainers.image.title=app").run();
    outcome.succeeded();
    assert_eq!(outcome.output("reason"), "merged");
    assert_eq!(outcome.output("platforms"), "linux/amd64\nlinux/arm64");
    let (digest, index) = repository.manifest("v1").await.unwrap();
    assert_eq!(outcome.output("digest"), digest);
    assert_eq!(repository.manifest("latest").await.unwrap().0, digest);
    assert_eq!(index["annotations"]["org.opencontainers.image.title"], "app");
    let kinds: Vec<bool> =
        index["manifests"].as_array().unwrap().iter().map(|part| part["annotations"].is_object()).collect();
    assert_eq!(kinds, [false, false, true], "the attestation comes along: {index}");
    let again = merge(&repository, &parts).input("annotations", "org.opencontainers.image.title=app").run();
    again.succeeded();
    assert_eq!(again.output("digest"), digest, "the same parts are the same index");
    let text = outcome.report().replace(&repository.path, "<name>");
    insta::assert_snapshot!(regex::Regex::new("[0-9a-f]{64}").unwrap().replace_all(&text, "<hex>").into_owned());
}

#[tokio::test]
async fn what_does_not_fit_together_changes_nothing() {
    let repository = Repository::new();
    let image = repository.image("amd64").await;
    let absent = format!("sha256:{}", "ab".repeat(32));
    let missing = merge(&repository, &[image.clone(), absent]).run();
    missing.failed(1, "part-missing");
    let twice = merge(&repository, &[image.clone(), repository.attested("amd64").await]).run();
    // The same image in an index is the same part; another one for the platform is not.
    assert!(twice.code == Some(0) || twice.output("reason") == "invalid-parts", "{}", twice.report());
    let other = merge(&repository, &["other.example/app@sha256:1".to_owned(), "nonsense".to_owned()]).run();
    other.failed(2, "invalid-input");
    let dry = merge(&Repository::new(), &[]).run();
    dry.failed(2, "invalid-input");
}

#[tokio::test]
async fn a_dry_run_prints_the_index_and_pushes_nothing() {
    let repository = Repository::new();
    let parts = [repository.image("amd64").await, repository.image("arm64").await];
    let outcome = merge(&repository, &parts).input("dry_run", "true").run();
    assert_eq!((outcome.code, outcome.output("reason")), (Some(0), "dry-run"), "{}", outcome.report());
    assert!(outcome.raw.contains("for linux/amd64, linux/arm64"), "{}", outcome.raw);
    assert_eq!(repository.manifest("v1").await, None);
}

#[tokio::test]
async fn digests_come_out_of_artifacts_in_every_form() {
    let world = World::start().await;
    let repository = Repository::new();
    let (amd64, arm64) = (repository.image("amd64").await, repository.image("arm64").await);
    let line = format!("{}@{amd64}\n", repository.name());
    let hex = arm64.trim_start_matches("sha256:").to_owned();
    {
        let artifacts = &mut world.state().artifacts;
        artifacts.put(1000, "digest-amd64", Artifact::raw("digest-amd64", line.as_bytes()));
        artifacts.put(1000, "digest-arm64", Artifact::zip(&[(hex.as_str(), b"")]));
        artifacts.put(1000, "image", Artifact::raw("image", b"no digest"));
    }
    let run = |glob: &str| {
        Landfall::new("merge")
            .env("ACTIONS_RESULTS_URL", world.base(Door::Results))
            .env("ACTIONS_RUNTIME_TOKEN", runtime_token())
            .inputs(&[("tags", &format!("{}:v1", repository.name())), ("artifact", glob)])
            .run()
    };
    let none = run("digests-*");
    none.failed(1, "part-missing");
    assert!(none.raw.contains("digest-amd64, digest-arm64, image"), "what there is: {}", none.raw);
    let wrong = run("*");
    wrong.failed(2, "invalid-input");
    assert!(wrong.raw.contains("no digest"), "{}", wrong.raw);
    assert_eq!(repository.manifest("v1").await, None);
    let outcome = run("digest-*");
    outcome.succeeded();
    assert_eq!(outcome.output("platforms"), "linux/amd64\nlinux/arm64");
    assert_eq!(repository.manifest("v1").await.unwrap().0, outcome.output("digest"));
    world.finish();
}

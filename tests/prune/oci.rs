//! Purpose: registries that list only tags: ages from the ledger, tags taken off, and a real distribution registry.

use super::{APP, image, index, planned, shelf, start, whole, with_snapshot};
use crate::support::{Landfall, Outcome};
use crate::world::World;

const CONFIG: &str = "retention:\n  default:\n    min_age: 0s\n    untagged: 0s\n    rules:\n      - { match: 'pr-*', keep_for: 0s }\n      - { match: '<commit>', keep_for: 0s }\n";

fn step(world: &World) -> Landfall {
    world.state().images.no_delete = false;
    let image = format!("{}/{APP}", world.registry_host());
    Landfall::new("prune").inputs(&[("image", &image), ("in_use", "none"), ("max_delete_fraction", "1")])
}

fn applying(world: &World) -> Landfall {
    step(world).inputs(&[("operation", "apply"), ("dry_run", "false")])
}

#[test]
fn without_times_nothing_is_old_until_it_was_seen_for_long() {
    let world = start();
    image(&world, "latest", 0);
    image(&world, "pr-1", 0);
    // By the default policy nothing is old enough yet: nobody knows how old it is.
    let first = applying(&world).run();
    first.succeeded();
    assert_eq!(first.output("planned"), "0", "{}", first.report());
    // The ledger remembers; three days later the same image is three days old.
    let snapshot = first.workspace().join("landfall-prune-snapshot.json");
    let text = std::fs::read_to_string(&snapshot).unwrap();
    let mut body: serde_json::Value = serde_json::from_str(&text).unwrap();
    for seen in body["repositories"][0]["ledger"]["seen"].as_object_mut().unwrap().values_mut() {
        *seen = (seen.as_i64().unwrap() - 3 * 86_400).into();
    }
    std::fs::write(&snapshot, body.to_string()).unwrap();
    let second = with_snapshot(applying(&world), &first).run();
    second.succeeded();
    assert_eq!(second.output("deleted"), "1", "{}", second.report());
    assert_eq!(shelf(&world).len(), 1);
    world.explain_writes();
    world.finish();
}

#[test]
fn tags_are_taken_off_and_an_index_takes_its_parts_along_and_all_comes_back() {
    let world = start();
    let kept = image(&world, "latest", 0);
    world.state().images.repository(APP).tags.insert("abcdef0".into(), kept.clone());
    index(&world, "pr-1", 0);
    let before = shelf(&world);
    let outcome = applying(&world).file(".github/landfall.yml", CONFIG).run();
    outcome.succeeded();
    assert_eq!((outcome.output("deleted"), outcome.output("untagged")), ("3", "1"), "{}", outcome.report());
    assert_eq!(shelf(&world), [(kept.clone(), vec!["latest".to_owned()])].into());
    let restore = step(&world).inputs(&[("operation", "restore"), ("dry_run", "false")]);
    with_snapshot(restore, &outcome).run().succeeded();
    let mut expected = before;
    expected.insert(kept, vec!["latest".into()]);
    assert_eq!(shelf(&world), expected);
    whole(&world);
    world.explain_writes();
    world.finish();
}

/// A registry that is really there, `host:port`.
#[expect(clippy::disallowed_methods, reason = "tests read what `make test` sets")]
fn registry() -> String {
    std::env::var("LANDFALL_TEST_REGISTRY")
        .expect("no registry: run `scripts/parts up`, then eval \"$(scripts/parts env)\"")
}

#[test]
fn a_real_registry_deletes_by_digest_and_its_blobs_are_counted() {
    use crate::oci::real::Repository;
    let repository = Repository::new(&registry(), "prune");
    let shared = repository.blob(b"a layer that several images share");
    let own = repository.blob(b"a layer of the doomed image alone");
    let (_, kept) = repository.image("latest", &[&shared]);
    let (_, doomed) = repository.image("pr-1", &[&shared, &own]);
    let (index, part) = repository.index("pr-2", &[&own]);
    let step = |operation: &str| {
        Landfall::new("prune").file(".github/landfall.yml", CONFIG).inputs(&[
            ("image", &repository.name()),
            ("in_use", "none"),
            ("max_delete_fraction", "1"),
            ("operation", operation),
            ("dry_run", "false"),
        ])
    };
    let plan: Outcome = step("plan").input("dry_run", "true").run();
    assert_eq!(planned(&plan).len(), 3, "{}", plan.report());
    let outcome = step("apply").run();
    outcome.succeeded();
    assert_eq!(outcome.output("deleted"), "3", "{}", outcome.report());
    assert_eq!(repository.has(&kept), 200);
    for gone in [&doomed, &index, &part] {
        assert_eq!(repository.has(gone), 404, "{gone}");
    }
    // The shared layer is not freed; the doomed one's own is, once.
    let freed: u64 = outcome.output("freed_bytes").parse().unwrap();
    assert!((33..3_033).contains(&freed), "{freed}");
    let restore = with_snapshot(step("restore"), &outcome).run();
    restore.succeeded();
    for back in [&doomed, &index, &part] {
        assert_eq!(repository.has(back), 200, "{back}");
    }
}

mod real {
    //! A repository of a real registry, filled by hand: no client of ours makes its own test data.

    use serde_json::{Value, json};
    use sha2::{Digest as _, Sha256};

    pub(super) struct Repository {
        host: String,
        name: String,
        runtime: tokio::runtime::Runtime,
        http: reqwest::Client,
    }

    fn digest(content: &[u8]) -> String {
        let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    }

    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    impl Repository {
        pub(super) fn new(host: &str, purpose: &str) -> Self {
            let unique = std::process::id();
            Self {
                host: host.to_owned(),
                name: format!("{purpose}/app-{unique}"),
                runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
                http: landfall::services::http::client().unwrap(),
            }
        }

        pub(super) fn name(&self) -> String {
            format!("{}/{}", self.host, self.name)
        }

        fn url(&self, path: &str) -> String {
            format!("http://{}/v2/{}/{path}", self.host, self.name)
        }

        pub(super) fn blob(&self, content: &[u8]) -> Value {
            let digest = digest(content);
            self.runtime.block_on(async {
                let begun = self.http.post(self.url("blobs/uploads/")).send().await.unwrap();
                let location = begun.headers()["location"].to_str().unwrap().to_owned();
                let base: url::Url = self.url("").parse().unwrap();
                let mut target = base.join(&location).unwrap();
                target.query_pairs_mut().append_pair("digest", &digest);
                let put =
                    self.http.put(target).header("content-type", "application/octet-stream").body(content.to_vec());
                assert_eq!(put.send().await.unwrap().status(), 201);
            });
            json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": content.len() })
        }

        fn put(&self, reference: &str, media_type: &str, body: &Value) -> String {
            let text = body.to_string();
            let digest = digest(text.as_bytes());
            let reference = if reference.is_empty() { &digest } else { reference };
            self.runtime.block_on(async {
                let put = self.http.put(self.url(&format!("manifests/{reference}"))).header("content-type", media_type);
                let answer = put.body(text).send().await.unwrap();
                assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
            });
            digest
        }

        pub(super) fn image(&self, tag: &str, layers: &[&Value]) -> (Value, String) {
            let config = json!({ "architecture": "amd64", "os": "linux", "for": tag, "rootfs": { "type": "layers", "diff_ids": [] } });
            let config = self.blob(config.to_string().as_bytes());
            let body = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
            let digest = self.put(tag, MANIFEST, &body);
            (json!({ "mediaType": MANIFEST, "digest": digest, "size": body.to_string().len() }), digest)
        }

        pub(super) fn index(&self, tag: &str, layers: &[&Value]) -> (String, String) {
            let (part, digest) = self.image("", layers);
            let body = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [part] });
            (self.put(tag, INDEX, &body), digest)
        }

        pub(super) fn has(&self, digest: &str) -> u16 {
            self.runtime.block_on(async {
                let accept = format!("{MANIFEST}, {INDEX}");
                let head = self.http.head(self.url(&format!("manifests/{digest}"))).header("accept", accept);
                head.send().await.unwrap().status().as_u16()
            })
        }
    }
}

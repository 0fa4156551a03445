//! The artifact service's client against the fake world: what goes up comes down, and nothing damaged gets through.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may end by panicking")]

mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use landfall::domain::artifact::ArtifactName;
use landfall::services::artifacts::{
    ArtifactError, ArtifactOptions, Artifacts, Content, Existing, Stored, Unpack, Upload,
};
use landfall::services::github::{GithubClient, GithubOptions};
use landfall::services::http::RetryPolicy;
use landfall::services::{Classified as _, ErrorClass, SecretObserver};
use world::artifacts::{Artifact, runtime_token};
use world::http::Door;
use world::{Fault, Skin, World};

const QUICK: RetryPolicy =
    RetryPolicy { attempts: 4, first_wait: Duration::from_millis(1), longest_wait: Duration::from_millis(4) };

fn name(text: &str) -> ArtifactName {
    text.parse().unwrap()
}

fn nobody() -> SecretObserver {
    Arc::new(|_| ())
}

fn client(world: &World) -> Artifacts {
    let options = ArtifactOptions {
        results_url: Some(format!("{}/some/path/", world.base(Door::Results))),
        token: Some(runtime_token().into()),
        secrets: nobody(),
    };
    Artifacts::new(&options).unwrap().with_policy(QUICK)
}

fn github(world: &World) -> GithubClient {
    world.state().github.repository("acme/app");
    let options = GithubOptions {
        api_url: world.github_url(),
        token: Some(world::github::TOKEN.to_owned().into()),
        secrets: nobody(),
    };
    GithubClient::new(&options).unwrap().with_policy(QUICK)
}

fn pieces(bytes: &[u8], size: usize) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    let pieces: Vec<_> = bytes.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures_util::stream::iter(pieces)
}

/// Bytes that no codec makes small, the same every time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(next).collect()
}

/// Everything that a file of an artifact gives, and how the channel ended.
async fn received(content: &Content, glob: &str) -> (Result<Vec<u8>, String>, Result<(), ArtifactError>) {
    let file = match content.one_matching(&glob.parse().unwrap()) {
        Ok(file) => file.clone(),
        Err(error) => return (Err(String::new()), Err(error)),
    };
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(2);
    let collect = async {
        let mut all = Vec::new();
        while let Some(piece) = receiver.recv().await {
            match piece {
                Ok(bytes) => all.extend_from_slice(&bytes),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(all)
    };
    let (sent, got) = tokio::join!(content.send(&file, Unpack::Nothing, 1 << 30, sender), collect);
    (got, sent.map(drop))
}

#[tokio::test]
async fn what_goes_up_comes_down() {
    let world = World::start().await;
    let artifacts = client(&world);
    // More than one block, and not a multiple of one.
    let bytes = noise(9 * 1024 * 1024 + 17);
    world.fault(Fault::on(Skin::Blobs).method("PUT").nth(1).status(503));
    world.fault(Fault::on(Skin::Results).path("*CreateArtifact").nth(1).status(500));
    let uploaded = artifacts.upload(&name("image.tar"), pieces(&bytes, 100_000), &Upload::default()).await.unwrap();
    assert_eq!(uploaded.size, bytes.len() as u64);
    assert_eq!(world.take_writes(), ["results artifact image.tar"]);
    let stored = artifacts.find(&name("image.tar")).await.unwrap();
    assert_eq!((stored.id, stored.digest.as_deref()), (uploaded.id, Some(uploaded.digest.as_str())));
    let content = stored.open().await.unwrap();
    assert!(content.is_raw());
    let (got, sent) = received(&content, "*").await;
    sent.unwrap();
    assert!(got.unwrap() == bytes);
    world.finish();
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let world = World::start().await;
    let artifacts = client(&world);
    let broken = futures_util::stream::iter([Ok(Bytes::from_static(b"some")), Err(std::io::Error::other("gone"))]);
    let error = artifacts.upload(&name("a"), broken, &Upload::default()).await.unwrap_err();
    assert!(matches!(error, ArtifactError::Source { .. }), "{error}");
    assert_eq!(artifacts.names().await.unwrap(), [""; 0]);
    // The name is free again.
    artifacts.upload(&name("a"), pieces(b"", 1), &Upload::default()).await.unwrap();
    let error = artifacts.upload(&name("a"), pieces(b"x", 1), &Upload::default()).await.unwrap_err();
    assert!(matches!(error, ArtifactError::Conflict { .. }), "{error}");
    let replace = Upload { existing: Existing::Replace, ..Upload::default() };
    artifacts.upload(&name("a"), pieces(b"x", 1), &replace).await.unwrap();
    assert_eq!(world.take_writes(), ["results artifact a", "results artifact a removed", "results artifact a"]);
    world.state().artifacts.full = true;
    let error = artifacts.upload(&name("b"), pieces(b"x", 1), &Upload::default()).await.unwrap_err();
    assert!(matches!(error, ArtifactError::Quota { .. }), "{error}");
    world.finish();
}

#[tokio::test]
async fn a_lost_answer_to_the_creation_is_made_good() {
    let world = World::start().await;
    let artifacts = client(&world);
    world.fault(Fault::on(Skin::Results).path("*CreateArtifact").nth(1).after_effect().reset());
    artifacts.upload(&name("a"), pieces(b"x", 1), &Upload::default()).await.unwrap();
    assert_eq!(world.take_writes(), ["results artifact a"]);
    world.finish();
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    let world = World::start().await;
    let bytes = noise(3 * 1024 * 1024);
    world.state().artifacts.put(7, "image", Artifact::zip(&[("readme.md", b"hello"), ("out/image.tar", &bytes)]));
    // The first request looks at the end; the next two break off.
    world.fault(Fault::on(Skin::Blobs).nth(2).truncate(1_000_000));
    world.fault(Fault::on(Skin::Blobs).nth(3).truncate(500_000));
    let (github, repository) = (github(&world), "acme/app".parse().unwrap());
    let stored = Stored::of_run(&github, &repository, 7, &name("image"), &nobody()).await.unwrap();
    let content = stored.open().await.unwrap();
    let (got, sent) = received(&content, "*.tar").await;
    sent.unwrap();
    assert!(got.unwrap() == bytes);
    let asked: Vec<String> =
        world.requests(Skin::Blobs).iter().map(|request| request.headers["range"].clone()).collect();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert_eq!(asked[1], "bytes=0-");
    assert!(asked[2] != "bytes=0-" && asked[3] != asked[2], "{asked:?}");
    world.finish();
}

#[tokio::test]
async fn a_storage_without_ranges_will_do() {
    let world = World::start().await;
    let bytes = noise(300_000);
    world.state().artifacts.no_ranges = true;
    world.state().artifacts.put(1000, "image", Artifact::zip(&[("image.tar", &bytes)]));
    // It breaks off, and what is known comes again.
    world.fault(Fault::on(Skin::Blobs).nth(2).truncate(100_001));
    let content = client(&world).find(&name("image")).await.unwrap().open().await.unwrap();
    let (got, sent) = received(&content, "*.tar").await;
    sent.unwrap();
    assert!(got.unwrap() == bytes);
    world.finish();
}

#[tokio::test]
async fn nothing_damaged_gets_to_its_end() {
    let world = World::start().await;
    let bytes = noise(3 * 1024 * 1024);
    let mut lying = Artifact::raw("image.tar", &bytes);
    lying.digest = format!("sha256:{}", "0".repeat(64));
    let mut unsaid = Artifact::zip(&[("image.tar", &bytes)]).damaged();
    unsaid.digest.clear();
    {
        let mut state = world.state();
        state.artifacts.put(1000, "raw", Artifact::raw("image.tar", &bytes).damaged());
        state.artifacts.put(1000, "zip", Artifact::zip(&[("image.tar", &bytes)]).damaged());
        state.artifacts.put(1000, "lying", lying);
        state.artifacts.put(1000, "unsaid", unsaid);
    }
    for artifact in ["raw", "zip", "lying", "unsaid"] {
        let content = client(&world).find(&name(artifact)).await.unwrap().open().await.unwrap();
        let (got, sent) = received(&content, "*.tar").await;
        let error = sent.unwrap_err();
        assert!(matches!(error, ArtifactError::Corrupt { .. } | ArtifactError::Damaged { .. }), "{artifact}: {error}");
        assert!(got.unwrap_err().contains("is damaged"), "{artifact}");
    }
    world.finish();
}

#[tokio::test]
async fn a_file_must_be_the_only_one_that_fits() {
    let world = World::start().await;
    world.state().artifacts.put(1000, "many", Artifact::zip(&[("a.tar", b"a"), ("b.tar", b"b"), ("c.md", b"c")]));
    world.state().artifacts.put(1000, "evil", Artifact::zip(&[("../../a.tar", b"a")]));
    let artifacts = client(&world);
    let content = artifacts.find(&name("many")).await.unwrap().open().await.unwrap();
    let said = |glob: &str| content.one_matching(&glob.parse().unwrap()).unwrap_err().to_string();
    assert_eq!(said("*.tar"), "the artifact 'many' has 2 files that match '*.tar': a.tar, b.tar");
    assert_eq!(said("*.zst"), "the artifact 'many' has no files that match '*.zst'; it has a.tar, b.tar, c.md");
    let Err(error) = artifacts.find(&name("evil")).await.unwrap().open().await else { panic!("it was opened") };
    assert!(matches!(error, ArtifactError::Zip { .. }), "{error}");
    let (sender, _receiver) = tokio::sync::mpsc::channel(2);
    let file = content.one_matching(&"c.md".parse().unwrap()).unwrap();
    assert!(content.send(file, Unpack::Nothing, 1, sender).await.is_ok());
    let Err(error) = artifacts.find(&name("absent")).await else { panic!("it was found") };
    assert_eq!(error.to_string(), "this run has no artifact 'absent'; it has evil, many");
    world.finish();
}

#[tokio::test]
async fn could_not_ask_is_never_an_absence() {
    let world = World::start().await;
    let repository = "acme/app".parse().unwrap();
    let github = github(&world);
    world.state().artifacts.put(7, "old", Artifact { expired: true, ..Artifact::raw("a.tar", b"a") });
    let Err(error) = Stored::of_run(&github, &repository, 7, &name("old"), &nobody()).await else { panic!() };
    assert!(matches!(error, ArtifactError::Expired { .. }), "{error}");
    world.fault(Fault::on(Skin::Github).path("*/actions/runs/7/artifacts").from(1).status(502));
    world.fault(Fault::on(Skin::Results).path("*ListArtifacts").from(1).status(503));
    let Err(error) = Stored::of_run(&github, &repository, 7, &name("old"), &nobody()).await else { panic!() };
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    let Err(error) = client(&world).find(&name("old")).await else { panic!() };
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    world.finish();
}

#[tokio::test]
async fn signatures_are_told_before_they_are_used() {
    let world = World::start().await;
    world.state().artifacts.put(1000, "a", Artifact::raw("a.tar", b"a"));
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = told.clone();
    let options = ArtifactOptions {
        results_url: Some(world.base(Door::Results)),
        token: Some(runtime_token().into()),
        secrets: Arc::new(move |secret: &secrecy::SecretString| {
            noted.lock().unwrap().push(secrecy::ExposeSecret::expose_secret(secret).to_owned());
        }),
    };
    Artifacts::new(&options).unwrap().find(&name("a")).await.unwrap().open().await.unwrap();
    let told = told.lock().unwrap().clone();
    for secret in [runtime_token(), "down/secret".to_owned(), "down%2Fsecret".to_owned()] {
        assert!(told.contains(&secret), "{secret} in {told:?}");
    }
    world.finish();
}

//! Purpose: images through ECR's API and through the registry protocol.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::clients::{ecr, http};
use crate::world::World;
use crate::world::archive::digest;
use crate::world::images::{Auth, INDEX, MANIFEST};

fn url(world: &World, path: &str) -> String {
    format!("http://{}{path}", world.registry_host())
}

#[tokio::test]
async fn ecr_tells_a_missing_image_from_a_missing_repository() {
    let world = World::start().await;
    let digest = world.state().images.image("acme/web:1");
    let client = ecr(&world);
    let ask = |repository: &str, tag: &str| {
        let id = aws_sdk_ecr::types::ImageIdentifier::builder().image_tag(tag).build();
        client.describe_images().repository_name(repository).image_ids(id).send()
    };
    let found = ask("acme/web", "1").await.unwrap();
    assert_eq!(found.image_details()[0].image_digest(), Some(digest.as_str()));
    assert!(ask("acme/web", "2").await.unwrap_err().into_service_error().is_image_not_found_exception());
    assert!(ask("acme/none", "1").await.unwrap_err().into_service_error().is_repository_not_found_exception());
    world.state().aws.deny("ecr:*");
    let denied = ask("acme/web", "1").await.unwrap_err().into_service_error();
    assert_eq!(denied.meta().code(), Some("AccessDeniedException"));
    world.finish();
}

#[tokio::test]
async fn ecr_gives_manifests_lists_and_tokens() {
    let world = World::start().await;
    let index = world.state().images.index("acme/web:1");
    let client = ecr(&world);
    let id = |tag: &str| aws_sdk_ecr::types::ImageIdentifier::builder().image_tag(tag).build();
    let got = client
        .batch_get_image()
        .repository_name("acme/web")
        .image_ids(id("1"))
        .image_ids(id("2"))
        .send()
        .await
        .unwrap();
    assert_eq!(got.images()[0].image_id().unwrap().image_digest(), Some(index.as_str()));
    assert_eq!(digest(got.images()[0].image_manifest().unwrap().as_bytes()), index);
    assert_eq!(got.failures()[0].failure_code().unwrap().as_str(), "ImageNotFound");
    let listed = client.list_images().repository_name("acme/web").send().await.unwrap();
    assert_eq!(listed.image_ids().len(), 3, "an index and its two parts");
    let token = client.get_authorization_token().send().await.unwrap();
    let token = token.authorization_data()[0].authorization_token().unwrap();
    assert!(STANDARD.decode(token).unwrap().starts_with(b"AWS:"));
    world.finish();
}

#[tokio::test]
async fn manifests_are_read_by_tag_and_digest() {
    let world = World::start().await;
    let digest = world.state().images.image_with_labels("acme/web:1", &[("revision", "abc")]);
    let by_tag = http().head(url(&world, "/v2/acme/web/manifests/1")).send().await.unwrap();
    assert_eq!(
        (by_tag.status().as_u16(), by_tag.headers()["docker-content-digest"].to_str().unwrap()),
        (200, digest.as_str())
    );
    let manifest: Value = http()
        .get(url(&world, &format!("/v2/acme/web/manifests/{digest}")))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let config = manifest["config"]["digest"].as_str().unwrap();
    let config: Value =
        http().get(url(&world, &format!("/v2/acme/web/blobs/{config}"))).send().await.unwrap().json().await.unwrap();
    assert_eq!(config["config"]["Labels"]["revision"], "abc");
    let codes = |path: &'static str| async {
        http().get(url(&world, path)).send().await.unwrap().json::<Value>().await.unwrap()["errors"][0]["code"].clone()
    };
    assert_eq!(codes("/v2/acme/web/manifests/2").await, "MANIFEST_UNKNOWN");
    assert_eq!(codes("/v2/acme/none/manifests/1").await, "NAME_UNKNOWN");
    world.finish();
}

#[tokio::test]
async fn an_image_can_be_pushed_and_is_then_in_ecr_too() {
    let world = World::start().await;
    let client = http();
    let config = b"{}".to_vec();
    let begun = client.post(url(&world, "/v2/acme/new/blobs/uploads/")).send().await.unwrap();
    let place = begun.headers()["location"].to_str().unwrap().to_owned();
    let put = client
        .put(url(&world, &format!("{place}?digest={}", digest(&config))))
        .body(config.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), 201);
    let part = json!({ "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len() });
    let manifest = |layers: Value| {
        json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": part, "layers": layers }).to_string()
    };
    let push = |body: String| {
        client.put(url(&world, "/v2/acme/new/manifests/1")).header("content-type", MANIFEST).body(body).send()
    };
    let broken = push(manifest(json!([{ "digest": "sha256:00" }]))).await.unwrap();
    assert_eq!(broken.status(), 404, "a layer is missing");
    assert_eq!(push(manifest(json!([]))).await.unwrap().status(), 201);
    let id = aws_sdk_ecr::types::ImageIdentifier::builder().image_tag("1").build();
    assert!(ecr(&world).describe_images().repository_name("acme/new").image_ids(id).send().await.is_ok());
    assert_eq!(world.take_writes(), ["registry push acme/new:1"]);
    world.finish();
}

/// A world whose registry asks for tokens, with one public and one private image.
async fn like_ghcr() -> World {
    let world = World::start().await;
    world.state().images.image("acme/public:1");
    world.state().images.image("acme/private:1");
    world.state().images.repository("acme/private").private = true;
    let (username, password) = ("octocat".to_owned(), "ghp".to_owned());
    world.state().images.auth = Auth::Bearer { username, password };
    world
}

/// Asks for a token to pull a repository, as somebody or as nobody.
async fn token(world: &World, repository: &str, who: Option<(&str, &str)>) -> (u16, Value) {
    let path = format!("/token?service=world&scope=repository:{repository}:pull");
    let request = http().get(url(world, &path));
    let request = match who {
        Some((name, password)) => request.basic_auth(name, Some(password)),
        None => request,
    };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn tokens_are_given_as_ghcr_gives_them() {
    let world = like_ghcr().await;
    let place = url(&world, "/v2/acme/private/manifests/1");
    let refused = http().get(place).send().await.unwrap();
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
    let scope = "scope=\"repository:acme/private:pull\"";
    assert!(challenge.contains(scope), "{challenge}");
    assert_eq!(token(&world, "acme/private", None).await.0, 401);
    assert_eq!(token(&world, "acme/public", None).await.0, 200);
    let wrong = Some(("octocat", "wrong"));
    assert_eq!(token(&world, "acme/private", wrong).await.0, 403);
    world.finish();
}

#[tokio::test]
async fn a_token_is_good_for_its_scope_only() {
    let world = like_ghcr().await;
    let who = Some(("octocat", "ghp"));
    let (_, answer) = token(&world, "acme/private", who).await;
    let token = answer["token"].as_str().unwrap();
    let pull = http().get(url(&world, "/v2/acme/private/manifests/1"));
    let pull = pull.bearer_auth(token).send().await.unwrap();
    assert_eq!(pull.status(), 200);
    let push = http().post(url(&world, "/v2/acme/private/blobs/uploads/"));
    let push = push.bearer_auth(token).send().await.unwrap();
    assert_eq!(push.status(), 401, "the token is for pulling");
    world.finish();
}

#[tokio::test]
async fn basic_credentials_and_denials() {
    let world = World::start().await;
    world.state().images.image("acme/web:1");
    world.state().images.auth = Auth::Basic { username: "AWS".into(), password: "secret".into() };
    let ask = || http().get(url(&world, "/v2/acme/web/manifests/1"));
    let refused = ask().send().await.unwrap();
    assert!(refused.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    assert_eq!(ask().basic_auth("AWS", Some("secret")).send().await.unwrap().status(), 200);
    world.state().images.denied.push("acme/*".into());
    assert_eq!(ask().basic_auth("AWS", Some("secret")).send().await.unwrap().status(), 403);
    world.finish();
}

#[tokio::test]
async fn tags_come_in_pages_and_referrers_as_an_index() {
    let world = World::start().await;
    for tag in ["a", "b", "c"] {
        world.state().images.image(&format!("acme/web:{tag}"));
    }
    let first = http().get(url(&world, "/v2/acme/web/tags/list?n=2")).send().await.unwrap();
    let link = first.headers()["link"].to_str().unwrap().to_owned();
    assert_eq!(link, "</v2/acme/web/tags/list?last=b&n=2>; rel=\"next\"");
    let rest: Value =
        http().get(url(&world, "/v2/acme/web/tags/list?last=b&n=2")).send().await.unwrap().json().await.unwrap();
    assert_eq!(rest["tags"], json!(["c"]));
    let subject = world.state().images.repository("acme/web").tags["a"].clone();
    let signature =
        json!({ "schemaVersion": 2, "artifactType": "signature", "subject": { "digest": subject } }).to_string();
    world.state().images.repository("acme/web").push(MANIFEST, &signature, None);
    let index = http().get(url(&world, &format!("/v2/acme/web/referrers/{subject}"))).send().await.unwrap();
    assert_eq!(index.headers()["content-type"], INDEX);
    assert_eq!(index.json::<Value>().await.unwrap()["manifests"][0]["artifactType"], "signature");
    world.finish();
}

//! Purpose: GitHub's REST API and its archives.

use std::io::Read as _;

use serde_json::{Value, json};

use crate::clients::http;
use crate::world::World;
use crate::world::github::{Access, Pull, TOKEN};

async fn get(world: &World, path: &str) -> reqwest::Response {
    http().get(format!("{}{path}", world.github_url())).bearer_auth(TOKEN).send().await.unwrap()
}

async fn status(world: &World, path: &str) -> u16 {
    get(world, path).await.status().as_u16()
}

#[tokio::test]
async fn branches_are_exact_and_percent_encoded() {
    let world = World::start().await;
    world.state().github.repository("acme/app").commit("feature/a#b%25", &[("go.mod", "module app\n")]);
    assert_eq!(status(&world, "/repos/acme/app/git/ref/heads/feature%2Fa%23b%2525").await, 200);
    assert_eq!(status(&world, "/repos/acme/app/git/ref/heads/feature/a%23b%2525").await, 200);
    assert_eq!(status(&world, "/repos/acme/app/git/ref/heads/feature").await, 404);
    let near: Value = get(&world, "/repos/acme/app/git/matching-refs/heads/feat").await.json().await.unwrap();
    assert_eq!(near[0]["ref"], "refs/heads/feature/a#b%25");
    world.state().github.repository("acme/empty");
    assert_eq!(status(&world, "/repos/acme/empty/git/ref/heads/main").await, 409);
    world.finish();
}

#[tokio::test]
async fn a_renamed_branch_redirects() {
    let world = World::start().await;
    world.state().github.repository("acme/app").commit("master", &[("a", "1")]);
    world.state().github.repository("acme/app").rename("master", "main");
    let moved = get(&world, "/repos/acme/app/branches/master").await;
    assert_eq!(moved.status(), 301);
    assert!(moved.headers()["location"].to_str().unwrap().ends_with("/repos/acme/app/branches/main"));
    world.finish();
}

#[tokio::test]
async fn no_access_and_absent_look_alike() {
    let world = World::start().await;
    world.state().github.repository("acme/secret").private = true;
    let (secret, absent) = (get(&world, "/repos/acme/secret").await, get(&world, "/repos/acme/absent").await);
    assert_eq!((secret.status(), secret.text().await.unwrap()), (absent.status(), absent.text().await.unwrap()));
    world.state().github.grant(TOKEN, "acme/secret", Access::Read);
    assert_eq!(status(&world, "/repos/acme/secret").await, 200);
    world.finish();
}

#[tokio::test]
async fn commits_are_found_by_every_name() {
    let world = World::start().await;
    let sha = world.state().github.repository("acme/app").commit("main", &[("a", "1")]);
    world.state().github.repository("acme/app").tags.insert("v1".into(), sha.clone());
    for name in ["main", "heads%2Fmain", "v1", &sha, &sha[..8]] {
        let request = http().get(format!("{}/repos/acme/app/commits/{name}", world.github_url()));
        let answer = request.bearer_auth(TOKEN).header("accept", "application/vnd.github.sha").send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), sha, "{name}");
    }
    assert_eq!(status(&world, "/repos/acme/app/commits/none").await, 422);
    world.finish();
}

#[tokio::test]
async fn archives_come_from_another_host_without_our_credentials() {
    let world = World::start().await;
    world.state().github.grant(TOKEN, "acme/secret", Access::Read);
    let deep = format!("{}/file", "d".repeat(120));
    let sha = {
        let mut state = world.state();
        let repository = state.github.repository("acme/secret");
        repository.private = true;
        repository.commit("main", &[("go.mod", "module x\n"), (deep.as_str(), "deep")])
    };
    let answer = get(&world, "/repos/acme/secret/tarball/main").await;
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(!location.starts_with(&world.github_url()), "{location}");
    let archive = http().get(&location).send().await.unwrap().bytes().await.unwrap();
    let names = listed(&archive).await;
    let top = format!("acme-secret-{}", &sha[..7]);
    assert_eq!(
        names,
        [
            "pax_global_header".to_owned(),
            format!("{top}/"),
            format!("{top}/{}/", "d".repeat(120)),
            format!("{top}/{deep}"),
            format!("{top}/go.mod")
        ]
    );
    let bare = location.split('?').next().unwrap();
    assert_eq!(http().get(bare).send().await.unwrap().status(), 404, "a private archive needs its ticket");
    assert!(world.unexplained().is_empty());
    http().get(&location).bearer_auth(TOKEN).send().await.unwrap();
    let minded = ["the credential ghs_world was sent to codeload", "codeload was sent the Authorization header"];
    assert_eq!(world.unexplained(), minded);
    world.close();
}

/// The names in a `.tar.gz`, read by the archive library that the program itself uses.
async fn listed(archive: &[u8]) -> Vec<String> {
    use tokio_stream::StreamExt as _;
    let gunzip = async_compression::tokio::bufread::GzipDecoder::new(archive);
    let mut entries = tokio_tar::Archive::new(gunzip).entries().unwrap();
    let mut names = Vec::new();
    while let Some(entry) = entries.next().await {
        names.push(entry.unwrap().path().unwrap().to_string_lossy().into_owned());
    }
    names
}

#[tokio::test]
async fn comments_have_a_life_and_leave_a_trail() {
    let world = World::start().await;
    world.state().github.repository("acme/app").commit("main", &[]);
    let url = |path: &str| format!("{}/repos/acme/app/issues{path}", world.github_url());
    let client = http();
    let made =
        client.post(url("/7/comments")).bearer_auth(TOKEN).json(&json!({ "body": "hello" })).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let id = made.json::<Value>().await.unwrap()["id"].as_u64().unwrap();
    let edit = client.patch(url(&format!("/comments/{id}"))).bearer_auth(TOKEN).json(&json!({ "body": "bye" }));
    assert_eq!(edit.send().await.unwrap().json::<Value>().await.unwrap()["user"]["type"], "Bot");
    let listed: Value = client.get(url("/7/comments")).send().await.unwrap().json().await.unwrap();
    assert_eq!(listed[0]["body"], "bye");
    let gone = client.delete(url(&format!("/comments/{id}"))).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    let anonymous = client.post(url("/7/comments")).json(&json!({ "body": "spam" })).send().await.unwrap();
    assert_eq!(anonymous.status(), 403);
    let trail = [
        "github create comment acme/app#7".to_owned(),
        format!("github update comment acme/app {id}"),
        format!("github delete comment acme/app {id}"),
    ];
    assert_eq!(world.take_writes(), trail);
    world.finish();
}

#[tokio::test]
async fn listings_are_paged() {
    let world = World::start().await;
    for number in 0..5 {
        world.state().github.repository("acme/app").commit(&format!("b{number}"), &[("a", "1")]);
    }
    let first = get(&world, "/repos/acme/app/branches?per_page=2").await;
    let link = first.headers()["link"].to_str().unwrap().to_owned();
    assert!(link.contains("page=2>; rel=\"next\"") && link.contains("page=3>; rel=\"last\""), "{link}");
    let last = get(&world, "/repos/acme/app/branches?per_page=2&page=3").await.json::<Value>().await.unwrap();
    assert_eq!(last.as_array().unwrap().len(), 1);
    world.finish();
}

#[tokio::test]
async fn an_enterprise_server_has_a_prefix() {
    let world = World::start().await;
    world.state().github.prefix = "/api/v3".into();
    assert!(world.github_url().ends_with("/api/v3"));
    assert_eq!(status(&world, "/rate_limit").await, 200);
    world.finish();
}

#[tokio::test]
async fn limits_are_counted_and_enforced() {
    let world = World::start().await;
    world.state().github.repository("acme/app").commit("main", &[("a", "1")]);
    world.state().github.rate.remaining = 1;
    assert_eq!(get(&world, "/repos/acme/app").await.headers()["x-ratelimit-remaining"], "0");
    assert_eq!(status(&world, "/repos/acme/app").await, 403);
    assert_eq!(status(&world, "/rate_limit").await, 200, "asking costs nothing");
    world.finish();
}

#[tokio::test]
async fn pulls_contents_and_statuses() {
    let world = World::start().await;
    let sha = world.state().github.repository("acme/app").commit("topic", &[("dir/a.txt", "text")]);
    let pull = Pull { head_ref: "topic".into(), head_sha: sha.clone(), base_ref: "main".into(), ..Pull::default() };
    world.state().github.repository("acme/app").pulls.insert(7, pull);
    let found: Value = get(&world, &format!("/repos/acme/app/commits/{sha}/pulls")).await.json().await.unwrap();
    assert_eq!((&found[0]["number"], &found[0]["head"]["repo"]), (&json!(7), &Value::Null));
    let file: Value = get(&world, "/repos/acme/app/contents/dir/a.txt?ref=topic").await.json().await.unwrap();
    assert_eq!(file["content"], "dGV4dA==\n");
    let folder: Value = get(&world, "/repos/acme/app/contents/dir?ref=topic").await.json().await.unwrap();
    assert_eq!(folder[0]["path"], "dir/a.txt");
    assert_eq!(status(&world, "/repos/acme/app/contents/none?ref=topic").await, 404);
    let url = format!("{}/repos/acme/app/statuses/{sha}", world.github_url());
    let made = http().post(url).bearer_auth(TOKEN).json(&json!({ "state": "success", "context": "ci" }));
    assert_eq!(made.send().await.unwrap().status(), 201);
    let combined: Value = get(&world, "/repos/acme/app/commits/topic/status").await.json().await.unwrap();
    assert_eq!(combined["state"], "success");
    assert_eq!(world.take_writes(), ["github create status acme/app ci success"]);
    world.finish();
}

#[tokio::test]
async fn a_seed_plants_repositories() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Dockerfile"), "FROM scratch\n").unwrap();
    let seed = json!({ "github": { "repositories": { "acme/app": {
        "trees": { "main": { "go.mod": "module app\n" } },
        "directories": { "disk": folder.path() },
    } } } });
    let mut state: crate::world::State = serde_json::from_value(seed).unwrap();
    state.plant().unwrap();
    let world = World::start_with(state);
    assert_eq!(status(&world, "/repos/acme/app/contents/go.mod").await, 200);
    let mut text = String::new();
    let answer = get(&world, "/repos/acme/app/contents/Dockerfile?ref=disk").await.bytes().await.unwrap();
    answer.as_ref().read_to_string(&mut text).unwrap();
    assert!(text.contains("RlJPTSBzY3JhdGNoCg=="), "{text}");
    world.finish();
}

#[tokio::test]
async fn a_reaction_is_new_once() {
    let world = World::start().await;
    let id = world.state().github.repository("acme/app").comment(7, "octocat", "/plan");
    let url = format!("{}/repos/acme/app/issues/comments/{id}/reactions", world.github_url());
    let react = || http().post(&url).bearer_auth(TOKEN).json(&json!({ "content": "eyes" })).send();
    assert_eq!(react().await.unwrap().status(), 201);
    assert_eq!(react().await.unwrap().status(), 200);
    assert_eq!(world.take_writes(), [format!("github react acme/app {id} eyes")]);
    world.finish();
}

#[tokio::test]
async fn a_late_listing_shows_the_past() {
    let world = World::start().await;
    world.state().clock.stop_at(crate::world::clock::Moment::from_second(1_800_000_000));
    world.state().github.delays.lag = 1000;
    let url = |path: &str| format!("{}/repos/acme/app/issues{path}", world.github_url());
    world.state().github.repository("acme/app").commit("main", &[]);
    let made = http().post(url("/7/comments")).bearer_auth(TOKEN).json(&json!({ "body": "one" }));
    assert_eq!(made.send().await.unwrap().status(), 201);
    let mut shown = Vec::new();
    for _ in 0..3 {
        let list: Value = http().get(url("/7/comments")).send().await.unwrap().json().await.unwrap();
        shown.push(list.as_array().unwrap().len());
    }
    shown.sort_unstable();
    assert_eq!(shown, [0, 0, 1], "one of three replicas is up to date");
    world.advance(std::time::Duration::from_secs(1));
    for _ in 0..3 {
        let list: Value = http().get(url("/7/comments")).send().await.unwrap().json().await.unwrap();
        assert_eq!(list.as_array().unwrap().len(), 1);
    }
    world.explain_writes();
    world.finish();
}

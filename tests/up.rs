//! `up` against a real engine: what gets healthy, what does not and how that is shown, and that nothing is left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may end by panicking")]

#[path = "support/engine.rs"]
mod engine;
mod support;

#[path = "up/inside.rs"]
mod inside;
#[path = "up/situations.rs"]
mod situations;

use engine::{base, unique, variable};
use landfall::services::engine::Engine;
use serde_json::Value;
use support::{Landfall, Outcome};

const BASE: &str = "landfall-test/base:1";
/// A page on port 80 that says ok.
const SERVER: &str = "sh -c 'echo ok > /index.html; exec httpd -f -p 80 -h /'";

/// A step on the engine under test.
async fn up() -> Landfall {
    base(&engine::engine().await).await;
    Landfall::new("up").env("DOCKER_HOST", variable("DOCKER_HOST"))
}

/// Containers, networks and volumes of a run.
async fn left(engine: &Engine, outcome: &Outcome) -> [usize; 3] {
    let token = &outcome.state.iter().find(|(name, _)| name == "up_label").unwrap().1;
    let label = format!("landfall.up={token}");
    [
        engine.containers_with(&label).await.unwrap().len(),
        engine.networks_with(&label).await.unwrap().len(),
        engine.volumes_with(&label).await.unwrap().len(),
    ]
}

const COMPOSE: &str = "
services:
  web:
    image: landfall-test/base:none
    command: sh -c 'wget -qO /index.html http://db:80/ && exec httpd -f -p 80 -h /'
    ports: ['127.0.0.1::80']
    depends_on:
      db: { condition: service_healthy }
      migrate: { condition: service_completed_successfully }
  migrate:
    image: landfall-test/base:1
    command: sh -c 'echo $$WORD > /data/index.html'
    environment: { WORD: 'hello ${NAME:-world}' }
    volumes: ['data:/data']
  db:
    image: landfall-test/base:1
    command: httpd -f -p 80 -h /data
    depends_on: [migrate]
    healthcheck: { test: ['CMD-SHELL', 'wget -qO- http://127.0.0.1/'], interval: 200ms, retries: 20 }
    volumes: ['data:/data:ro']
volumes: { data: }
";

#[tokio::test]
async fn one_container_stays_for_later_steps_and_goes_with_the_job() {
    let engine = engine::engine().await;
    let name = unique("one").replace('/', "-");
    let outcome = up()
        .await
        .file("test.env", "FROM_FILE=1\nBOTH=file\n")
        .inputs(&[
            ("image", BASE),
            ("name", &name),
            ("ports", "127.0.0.1::80"),
            ("command", SERVER),
            ("env", "BOTH=input"),
            ("env_file", "test.env"),
            ("health_command", "sh -c 'test $FROM_FILE$BOTH = 1input'"),
            ("health_url", "http://localhost:80/index.html"),
        ])
        .run();
    outcome.succeeded();
    let containers: Value = serde_json::from_str(outcome.output("containers")).unwrap();
    assert_eq!(
        (containers[0]["name"].as_str(), containers[0]["state"].as_str()),
        (Some(name.as_str()), Some("running"))
    );
    assert_eq!(containers[0]["id"].as_str(), Some(outcome.output("container_id")));
    assert!(containers[0]["ports"]["80/tcp"].as_u64().unwrap() > 0);
    let port = containers[0]["ports"]["80/tcp"].as_u64().unwrap();
    assert_eq!(outcome.output("url"), format!("http://localhost:{port}/index.html"));
    assert_eq!(left(&engine, &outcome).await, [1, 0, 0]);
    let id = outcome.output("container_id").to_owned();
    let post = outcome.post().run();
    assert_eq!(post.code, Some(0), "{}", post.raw);
    assert_eq!(engine.container(&id).await.unwrap(), None);
}

#[tokio::test]
async fn a_compose_file_starts_in_order_and_is_removed_whole() {
    let engine = engine::engine().await;
    let outcome = up()
        .await
        .file("test/compose.yml", COMPOSE)
        .env("NAME", "you")
        .inputs(&[
            ("compose_file", "test/compose.yml"),
            ("images", &format!("web={BASE}")),
            ("health_url", "http://web/"),
        ])
        .run();
    outcome.succeeded();
    let containers: Value = serde_json::from_str(outcome.output("containers")).unwrap();
    let services: Vec<&str> =
        containers.as_array().unwrap().iter().map(|one| one["service"].as_str().unwrap()).collect();
    assert_eq!(services, ["migrate", "db", "web"]);
    assert_eq!(containers[0]["exit_code"], 0);
    let port = containers[2]["ports"]["80/tcp"].as_u64().unwrap();
    let page = landfall::services::http::client()
        .unwrap()
        .get(format!("http://127.0.0.1:{port}/"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(page, "hello you\n");
    assert_eq!(left(&engine, &outcome).await, [3, 1, 1]);
    let label = outcome.state[0].1.clone();
    let post = outcome.post().run();
    assert_eq!(post.code, Some(0), "{}", post.raw);
    let label = format!("landfall.up={label}");
    assert!(engine.containers_with(&label).await.unwrap().is_empty());
    assert!(engine.networks_with(&label).await.unwrap().is_empty());
    assert!(engine.volumes_with(&label).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_a_killed_step_started_is_removed_by_the_post_stage() {
    let engine = engine::engine().await;
    let mut running =
        up().await.inputs(&[("image", BASE), ("command", "sleep 3600"), ("health_command", "false")]).start();
    running.wait_for_log("exit code 1");
    running.signal("KILL");
    let outcome = running.wait();
    assert_eq!(left(&engine, &outcome).await, [1, 0, 0]);
    let label = format!("landfall.up={}", outcome.state[0].1);
    let post = outcome.post().run();
    assert_eq!(post.code, Some(0), "{}", post.raw);
    assert!(engine.containers_with(&label).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cancelled_step_ends_and_leaves_the_rest_to_the_post_stage() {
    let engine = engine::engine().await;
    let mut running =
        up().await.inputs(&[("image", BASE), ("command", "sleep 3600"), ("health_command", "false")]).start();
    running.wait_for_log("exit code 1");
    running.signal("INT");
    let outcome = running.wait();
    outcome.failed(130, "cancelled");
    outcome.post().run();
    let _ = engine;
}

#[tokio::test]
async fn nothing_stays_when_it_is_not_kept() {
    let engine = engine::engine().await;
    let outcome =
        up().await.inputs(&[("image", BASE), ("command", "sleep 3600"), ("keep", "false"), ("logs", "always")]).run();
    outcome.succeeded();
    assert_eq!(left(&engine, &outcome).await, [0, 0, 0]);
    // The post stage has nothing left to do.
    assert_eq!(outcome.post().run().code, Some(0));
}

#[tokio::test]
async fn bad_input_is_reported_whole_before_anything_is_started() {
    let outcome = up()
        .await
        .env("DOCKER_HOST", "unix:///no/such/socket")
        .inputs(&[
            ("image", "UPPER"),
            ("name", "a b"),
            ("ports", "http"),
            ("env_file", "../secrets.env"),
            ("command", "sh -c 'open"),
            ("images", "a=b"),
            ("health_url", "localhost:80"),
            ("health_status", "ok"),
        ])
        .run();
    outcome.failed(2, "invalid-input");
    insta::assert_snapshot!(outcome.report());
    let outcome = up().await.inputs(&[("compose_file", "compose.yml"), ("env", "A=1"), ("image", "a")]).run();
    outcome.failed(2, "invalid-input");
    let file = "services:\n  web:\n    image: acme/web\n    build: .\n";
    let outcome = up().await.file("compose.yml", file).input("compose_file", "compose.yml").run();
    outcome.failed(2, "invalid-compose-file");
    insta::assert_snapshot!("a_key_outside_of_the_subset", outcome.report());
}

#[tokio::test]
async fn a_dry_run_shows_order_and_conditions() {
    let outcome = up()
        .await
        .env("DOCKER_HOST", "unix:///no/such/socket")
        .file("compose.yml", COMPOSE)
        .inputs(&[("compose_file", "compose.yml"), ("dry_run", "true"), ("health_url", "http://web/")])
        .run();
    outcome.succeeded();
    insta::assert_snapshot!(outcome.report());
    // Through the root action the input `command` chooses the command; it is not the container's as well.
    let root = up()
        .await
        .arguments(&[])
        .env("DOCKER_HOST", "unix:///no/such/socket")
        .file("compose.yml", COMPOSE)
        .inputs(&[
            ("command", "up"),
            ("compose_file", "compose.yml"),
            ("dry_run", "true"),
            ("health_url", "http://web/"),
        ])
        .run();
    root.succeeded();
    assert_eq!(root.report(), outcome.report());
}

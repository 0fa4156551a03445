//! Purpose: workflow runs of the fake GitHub.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clients::http;
use crate::world::World;
use crate::world::clock::Moment;
use crate::world::github::TOKEN;
use crate::world::github::actions::{Run, Script, Telling};

async fn get(world: &World, path: &str) -> Value {
    let request = http().get(format!("{}/repos/acme/app/actions{path}", world.github_url()));
    request.bearer_auth(TOKEN).send().await.unwrap().json().await.unwrap()
}

async fn post(world: &World, path: &str, body: &Value) -> (u16, String) {
    let request = http().post(format!("{}/repos/acme/app{path}", world.github_url()));
    let answer = request.bearer_auth(TOKEN).body(body.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_dispatched_run_proceeds_as_it_is_watched() {
    let world = World::start().await;
    {
        let mut state = world.state();
        state.github.repository("acme/app").commit("main", &[("a", "1")]);
        let workflow = state.github.actions("acme/app").workflow("build.yml");
        workflow.run_name = "build {nonce}".into();
        workflow.script = Script { hidden: 1, ..Script::ending("success", 2).pushing("app:{nonce}") };
    }
    let body = json!({ "ref": "main", "inputs": { "nonce": "n1" }, "return_run_details": true });
    let (status, answer) = post(&world, "/actions/workflows/build.yml/dispatches", &body).await;
    assert_eq!(status, 200);
    let id = serde_json::from_str::<Value>(&answer).unwrap()["workflow_run_id"].as_u64().unwrap();
    assert_eq!(get(&world, "/runs").await["total_count"], 0);
    assert_eq!(get(&world, "/runs?event=workflow_dispatch").await["workflow_runs"][0]["display_title"], "build n1");
    for expected in ["in_progress", "in_progress", "completed"] {
        assert_eq!(get(&world, &format!("/runs/{id}")).await["status"], expected);
    }
    assert_eq!(get(&world, &format!("/runs/{id}/jobs")).await["jobs"][0]["steps"][2]["conclusion"], "success");
    assert!(world.state().images.repositories["app"].tags.contains_key("n1"));
    assert_eq!(post(&world, &format!("/actions/runs/{id}/cancel"), &json!({})).await.0, 409);
    assert_eq!(world.take_writes(), ["github dispatch acme/app build.yml at main"]);
    world.finish();
}

#[tokio::test]
async fn dispatches_are_refused_as_github_does() {
    let world = World::start().await;
    {
        let mut state = world.state();
        state.github.repository("acme/app").commit("main", &[("a", "1")]);
        let actions = state.github.actions("acme/app");
        actions.workflow("build.yml").inputs = Some(vec!["known".into()]);
        actions.workflow("push.yml").dispatchable = false;
        actions.telling = Telling::Refuses;
    }
    let path = |file: &str| format!("/actions/workflows/{file}/dispatches");
    for (file, body, expected) in [
        ("none.yml", json!({ "ref": "main" }), (404, "Not Found")),
        ("build.yml", json!({ "ref": "gone" }), (422, "No ref found for: gone")),
        ("build.yml", json!({ "ref": "main", "inputs": { "x": "1" } }), (422, "Unexpected inputs provided")),
        ("build.yml", json!({ "ref": "main", "return_run_details": true }), (422, "not a permitted key")),
        ("push.yml", json!({ "ref": "main" }), (422, "workflow_dispatch")),
    ] {
        let (status, answer) = post(&world, &path(file), &body).await;
        assert!(status == expected.0 && answer.contains(expected.1), "{file}: {status} {answer}");
    }
    world.finish();
}

#[tokio::test]
async fn listings_are_filtered_and_a_filter_ends_at_a_thousand() {
    let world = World::start().await;
    {
        let mut state = world.state();
        state.github.repository("acme/app").commit("main", &[("a", "1")]);
        let actions = state.github.actions("acme/app");
        for number in 0..1005 {
            let start = Moment::from_second(1_767_225_600 + number * 60);
            actions.add(Run::ended("push", "main", "sha", "failure", start, Duration::from_secs(30)));
        }
    }
    let last = get(&world, "/runs?per_page=100&page=11").await;
    assert_eq!(last["workflow_runs"].as_array().unwrap().len(), 5);
    let filtered = get(&world, "/runs?per_page=100&page=11&status=failure").await;
    assert_eq!(
        (filtered["total_count"].as_u64(), filtered["workflow_runs"].as_array().unwrap().len()),
        (Some(1005), 0)
    );
    assert_eq!(get(&world, "/runs?created=2026-01-01T00:01:00Z..2026-01-01T00:03:00Z").await["total_count"], 3);
    assert_eq!(get(&world, "/runs?branch=other").await["total_count"], 0);
    world.finish();
}

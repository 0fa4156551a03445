//! Purpose: faults of the wire, and what the world complains about at its end.

use std::time::Duration;

use serde_json::json;

use crate::clients::http;
use crate::world::github::TOKEN;
use crate::world::{Fault, Skin, World};

async fn world() -> World {
    let world = World::start().await;
    world.state().github.repository("acme/app").commit("main", &[("a", "1")]);
    world
}

fn ask(world: &World) -> reqwest::RequestBuilder {
    http().get(format!("{}/repos/acme/app", world.github_url())).bearer_auth(TOKEN)
}

#[tokio::test]
async fn a_status_strikes_the_nth_request_only() {
    let world = world().await;
    world.fault(Fault::on(Skin::Github).path("/repos/*").nth(2).status(503).retry_after(7));
    assert_eq!(ask(&world).send().await.unwrap().status(), 200);
    let struck = ask(&world).send().await.unwrap();
    assert_eq!((struck.status().as_u16(), &struck.headers()["retry-after"]), (503, &"7".parse().unwrap()));
    assert_eq!(ask(&world).send().await.unwrap().status(), 200);
    assert_eq!(world.calls(Skin::Github), ["GET /repos/acme/app"; 3]);
    world.finish();
}

#[tokio::test]
async fn connections_are_reset_and_bodies_cut() {
    let world = world().await;
    world.fault(Fault::on(Skin::Github).nth(1).reset());
    assert!(ask(&world).send().await.is_err());
    world.fault(Fault::on(Skin::Github).times(1).truncate(10));
    let cut = ask(&world).send().await.unwrap();
    assert_eq!(cut.status(), 200);
    assert!(cut.bytes().await.is_err());
    world.fault(Fault::on(Skin::Github).not_json());
    let page = ask(&world).send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html");
    assert!(page.json::<serde_json::Value>().await.is_err());
    world.finish();
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_work_was_done() {
    let world = world().await;
    world.fault(Fault::on(Skin::Github).method("POST").after_effect().reset());
    let url = format!("{}/repos/acme/app/issues/1/comments", world.github_url());
    assert!(http().post(url).bearer_auth(TOKEN).json(&json!({ "body": "x" })).send().await.is_err());
    assert_eq!(world.take_writes(), ["github create comment acme/app#1"]);
    world.finish();
}

#[tokio::test]
async fn a_held_request_waits_for_its_gate() {
    let world = world().await;
    world.fault(Fault::on(Skin::Github).hold("gate"));
    let request = ask(&world).timeout(Duration::from_secs(30));
    let answer = tokio::spawn(request.send());
    while world.requests(Skin::Github).is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!answer.is_finished());
    world.release("gate");
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    world.finish();
}

#[tokio::test]
async fn a_body_can_stall_half_way() {
    let world = world().await;
    world.fault(Fault::on(Skin::Github).stall(10, "rest"));
    let mut answer = ask(&world).send().await.unwrap();
    let first = answer.chunk().await.unwrap().unwrap();
    assert_eq!(first.len(), 10);
    world.release("rest");
    let rest = answer.bytes().await.unwrap();
    let whole = [first.as_ref(), rest.as_ref()].concat();
    assert!(serde_json::from_slice::<serde_json::Value>(&whole).is_ok());
    world.finish();
}

#[tokio::test]
async fn what_is_left_is_named() {
    let world = world().await;
    ask(&world).send().await.unwrap();
    http().get(format!("{}/made/up", world.github_url())).send().await.unwrap();
    let url = format!("{}/repos/acme/app/issues/1/comments", world.github_url());
    http().post(url).bearer_auth(TOKEN).json(&json!({ "body": "x" })).send().await.unwrap();
    world.fault(Fault::on(Skin::Ecs).status(500));
    world.fault(Fault::on(Skin::Ecr).status(500).optional());
    let left = world.unexplained();
    assert_eq!(left.len(), 3, "{left:?}");
    assert_eq!(left[0], "unknown route: github GET /made/up");
    assert_eq!(left[1], "unexplained write: github create comment acme/app#1");
    assert!(left[2].starts_with("fault never struck"));
    world.close();
}

#[tokio::test]
#[should_panic(expected = "unexplained write")]
async fn finishing_with_a_write_left_fails() {
    let world = world().await;
    world.state().wrote(Skin::Ecs, "something");
    world.finish();
}

#[tokio::test]
async fn secrets_are_not_recorded() {
    let world = world().await;
    ask(&world).send().await.unwrap();
    let recorded = &world.requests(Skin::Github)[0];
    assert_eq!(recorded.headers["authorization"], "Bearer ***");
    assert_eq!(recorded.status, 200);
    world.finish();
}

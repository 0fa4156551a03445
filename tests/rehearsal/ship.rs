//! Purpose: what a newcomer copies: the example of one file, and the first page's own example.

use serde_json::json;

use crate::event::{Event, REPOSITORY};
use crate::hosts::checkout;
use crate::stage::Stage;
use crate::walk::Walk;
use crate::world::ecs::Script;
use crate::world::github::Access;

const SHIP: &str = "examples/ship/.github/workflows/ship.yml";
const DASHBOARD: &str = "acme/dashboard";
const TOKEN: &str = "ghp_companion-token";

/// A service that runs, and the repository that its image is built from.
fn stage() -> (Stage, String) {
    let stage = Stage::new();
    stage.registry("123456789012.dkr.ecr.eu-central-1.amazonaws.com");
    stage.role("ship");
    let sha = stage.commit("main", "examples/ship", &[("go.mod", "module github.com/acme/app\n")]);
    {
        let mut state = stage.world.state();
        state.github.grant(TOKEN, DASHBOARD, Access::Read);
        let dashboard = state.github.repository(DASHBOARD);
        dashboard.private = true;
        dashboard.commit(
            "main",
            &[
                ("go.mod", "module github.com/acme/dashboard\n\nrequire github.com/acme/app v1.0.0\n"),
                ("Dockerfile", "FROM scratch\nCOPY go.mod /\nENTRYPOINT [\"/dashboard\"]\n"),
            ],
        );
        state.images.repository("dashboard");
        state.service("staging", "dashboard", "dashboard:old");
    }
    (stage, sha)
}

fn quick(walk: Walk<'_>) -> Walk<'_> {
    walk.given("resolve", "provider", "ecr") // a registry on the loopback does not look like ECR
        .given("deploy", "poll_interval", "50ms")
        .secret("COMPANION_TOKEN", TOKEN)
}

fn serves(stage: &Stage, cluster: &str, service: &str) -> String {
    let mut state = stage.world.state();
    let serving = state.ecs.find(cluster, service).serving().unwrap().task_definition.clone();
    state.ecs.images(&serving)[0].1.clone()
}

#[test]
fn ship_resolves_builds_and_deploys_by_one_file() {
    let (stage, sha) = stage();
    let walked = quick(stage.walk(SHIP, Event::push("main", &sha))).go();
    walked.ended(&[("image", "success"), ("deploy", "success")]);
    insta::assert_snapshot!(walked.told());
    assert!(serves(&stage, "staging", "dashboard").ends_with(&format!("dashboard:sha-{sha}")));
    // A version that crashes is taken back, and the run is red.
    stage.world.state().ecs.script("dashboard", "dashboard:3", Script::crash_loop(1));
    let bad = stage.commit("main", "examples/ship", &[("change", "1")]);
    let walked = quick(stage.walk(SHIP, Event::push("main", &bad))).go();
    walked.ended(&[("image", "success"), ("deploy", "failure")]);
    assert_eq!(walked.output("deploy", "deploy", "status"), "rolled-back");
    assert!(serves(&stage, "staging", "dashboard").ends_with(&format!("dashboard:sha-{sha}")));
    stage.world.explain_writes();
    stage.finish();
}

/// The first two code blocks of the first page: a workflow, and the config that it needs.
#[test]
fn readme_is_right() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let blocks: Vec<&str> = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let stage = Stage::new();
    stage.registry("123456789012.dkr.ecr.eu-central-1.amazonaws.com");
    stage.role("ship");
    let files = [
        ("Dockerfile", "FROM scratch\nCOPY VERSION /\nENTRYPOINT [\"/web\"]\n"),
        ("VERSION", "1.0.0\n"),
        (".github/landfall.yml", blocks[1]),
    ];
    let sha = stage.commit("main", "examples/none", &files);
    {
        let mut state = stage.world.state();
        state.images.repository("web");
        let first =
            state.task_definition("web", &json!({ "containerDefinitions": [{ "name": "web", "image": "web:old" }] }));
        state.service_of("prod", "web", &first, 1);
    }
    let walk = Walk::of_text(&stage, "README.md", blocks[0], Event::push("main", &sha), 1001);
    let walked = quick(walk.host("ship", "actions/checkout", checkout)).go();
    walked.ended(&[("ship", "success")]);
    insta::assert_snapshot!(walked.told());
    assert!(serves(&stage, "prod", "web").ends_with(&walked.output("ship", "build", "digest")));
    assert_eq!(stage.tags("web"), ["latest".to_owned(), format!("sha-{}", &sha[..7])]);
    assert_eq!(stage.world.state().github.repository(REPOSITORY).comments.len(), 0);
    stage.world.explain_writes();
    stage.finish();
}

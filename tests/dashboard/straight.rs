//! The way it is meant: make, update, show.

use super::*;

#[test]
fn a_dashboard_is_made_and_updated_in_place() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    let made = dashboard(&world, &sha).input("operation", "init").run();
    made.succeeded();
    assert_eq!((made.output("published"), made.output("records")), ("comment", "statuses"));
    assert_eq!(world.take_writes(), ["github create comment acme/app#7"]);
    let before = requests(&world);
    let updated = update(&world, &sha, "plan-platform", "success").input("link", "run").run();
    updated.succeeded();
    assert!(requests(&world) - before <= 8, "{:#?}", &world.calls(Skin::Github)[before..]);
    assert_eq!(updated.output("comment_id"), made.output("comment_id"));
    let id = made.output("comment_id");
    assert_eq!(
        world.take_writes(),
        [
            "github create status acme/app infra-dashboard/plan-platform success".to_owned(),
            format!("github update comment acme/app {id}")
        ]
    );
    let failed = update(&world, &sha, "apply", "failure").run();
    failed.succeeded();
    world.explain_writes();
    insta::assert_snapshot!("log", report(&updated).replace(&sha, "<sha>").replace(&sha[..7], "<sha7>"));
    insta::assert_snapshot!("comment", tidy(&failed.normalised(&comment(&world))).replace(&sha[..7], "<sha7>"));
    world.finish();
}

#[test]
fn one_name_sets_a_group_and_a_new_name_is_a_new_row() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    dashboard(&world, &sha).input("stages", "plan-a=Plan: a\nplan-b=Plan: b\napply=").run().succeeded();
    let outcome = update(&world, &sha, "plan, canary", "in_progress").run();
    outcome.succeeded();
    let pair = |key: &str, status: &str| (key.to_owned(), status.to_owned());
    let expected =
        [pair("plan-a", "running"), pair("plan-b", "running"), pair("apply", "pending"), pair("canary", "running")];
    assert_eq!(stages(&outcome), expected);
    assert!(comment(&world).contains("| Plan: b | 🔄 | - |"), "{}", comment(&world));
    world.explain_writes();
    world.finish();
}

#[test]
fn the_same_again_writes_nothing() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    dashboard(&world, &sha).run().succeeded();
    world.explain_writes();
    dashboard(&world, &sha).run().succeeded();
    world.finish();
}

#[test]
fn showing_and_a_dry_run_write_nothing() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    let shown = dashboard(&world, &sha).input("operation", "show").run();
    shown.succeeded();
    assert_eq!((shown.output("published"), shown.output("stages")), ("summary", "[]"));
    let dry = update(&world, &sha, "apply", "success").input("dry_run", "true").run();
    assert_eq!(dry.code, Some(0));
    insta::assert_snapshot!("dry_run", report(&dry).replace(&sha[..7], "<sha7>"));
    world.finish();
}

#[test]
fn a_push_during_a_run_changes_nothing() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    update(&world, &sha, "plan", "running").run().succeeded();
    {
        let mut state = world.state();
        let repository = state.github.repository("acme/app");
        let newer = repository.commit("topic", &[("a", "3")]);
        repository.pulls.get_mut(&7).unwrap().head_sha = newer;
    }
    update(&world, &sha, "plan", "success").run().succeeded();
    assert!(comment(&world).contains(&format!("<!-- infra-dashboard:{} -->", &sha[..7])));
    assert!(comment(&world).contains("| plan | ✅ |"));
    world.explain_writes();
    world.finish();
}

#[test]
fn the_config_names_stages_and_the_latest_of_several_changes_counts() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    let config = "routes:\n  commands:\n    /ship: {help: Ship it, confirm: YES}\ndashboard:\n  marker: shop\n  title: Shop\n  stages:\n    build: Build\n    ship: Ship it\n";
    let run =
        |stage: &str, status: &str| update(&world, &sha, stage, status).file(".github/landfall.yml", config).run();
    run("build", "running").succeeded();
    run("build", "failure").succeeded();
    run("build", "success").succeeded();
    let outcome = run("ship", "skipped");
    assert_eq!(outcome.succeeded().output("records"), "statuses");
    let body = comment(&world);
    assert!(body.starts_with(&format!("<!-- shop:{} -->\n## ⚙️ Shop `{}`\n", &sha[..7], &sha[..7])), "{body}");
    assert!(body.contains("| Build | ✅ |") && body.contains("| Ship it | ⏭️ |"), "{body}");
    assert!(body.contains("Ready to merge"), "{body}");
    assert!(body.contains("| `/ship YES` | Ship it |"), "{body}");
    assert!(
        body.contains("| Build ❌ | octocat (pull&#95;request)")
            || body.contains("| Build ❌ | octocat (pull\\_request)"),
        "{body}"
    );
    world.explain_writes();
    world.finish();
}

#[test]
fn a_commit_can_be_named_by_its_beginning_and_finds_its_pull_request() {
    let world = World::start_blocking();
    let sha = a_pull_request(&world);
    let outcome = Landfall::new("dashboard")
        .envs(world.github_env())
        .token(TOKEN)
        .event("workflow_dispatch", &json!({ "repository": { "full_name": "acme/app" } }))
        .inputs(&[("commit_sha", &sha[..8]), ("stage", "e2e"), ("status", "success")])
        .run();
    outcome.succeeded();
    assert!(comment(&world).contains("| e2e | ✅ |"));
    world.explain_writes();
    world.finish();
}

#[test]
fn an_enterprise_server_works_alike() {
    let world = World::start_blocking();
    world.state().github.prefix = "/api/v3".into();
    let sha = a_pull_request(&world);
    update(&world, &sha, "e2e", "success").run().succeeded();
    assert!(comment(&world).contains("| e2e | ✅ |"));
    world.explain_writes();
    world.finish();
}

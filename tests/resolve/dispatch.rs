//! Purpose: the strategy `dispatch`: the companion builds, its run is found, watched, taken back, and the image required.

use super::support::Landfall;
use super::world::github::actions::{Actions, Change, Script, Telling};
use super::world::github::{Access, TOKEN};
use super::world::{After, Fault, Skin, World};
use super::{COMPANION, FEATURE, branches, by_commit, done, error, failing, image, pull_request, start};

const TOLD: &str = "ghp_companion";

/// A companion whose `build.yml` is changed by `change`.
fn companion(change: impl FnOnce(&mut Actions)) -> World {
    let world = start();
    branches(&world, &[FEATURE]);
    {
        let mut state = world.state();
        state.github.grant(TOLD, COMPANION, Access::Write);
        let actions = state.github.actions(COMPANION);
        let workflow = actions.workflow("build.yml");
        workflow.run_name = "Build {nonce}".into();
        workflow.inputs = Some(vec!["tag".into(), "nonce".into()]);
        workflow.script = Script::ending("success", 3).pushing("dashboard:{tag}");
        change(actions);
    }
    world
}

fn dispatching(world: &World) -> Landfall {
    pull_request(world).inputs(&[("strategy", "dispatch"), ("companion_token", TOLD), ("poll_interval", "50ms")])
}

/// By `workflow_dispatch`.
fn by_workflow(world: &World) -> Landfall {
    dispatching(world).inputs(&[("workflow", ".github/workflows/build.yml"), ("dispatch_inputs", "tag={tag}")])
}

fn started() -> String {
    format!("github dispatch {COMPANION} build.yml at {FEATURE}")
}

#[test]
fn the_companion_builds_and_the_image_is_there() {
    let world = companion(|_| ());
    let outcome = done(by_workflow(&world));
    let found = ["strategy", "needs_build", "exists", "tag", "reason"].map(|name| outcome.output(name));
    assert_eq!(found, ["build-from-branch", "false", "true", &by_commit(), "built"]);
    assert!(outcome.output("digest").starts_with("sha256:"));
    assert_eq!(outcome.output("run_url"), format!("https://github.com/{COMPANION}/actions/runs/9000000001"));
    assert_eq!(world.take_writes(), [started()]);
    insta::assert_snapshot!(outcome.report());
    world.finish();
}

#[test]
fn an_image_that_exists_starts_nothing() {
    let world = companion(|_| ());
    image(&world, "feature-add-new-feature");
    let outcome = done(by_workflow(&world));
    assert_eq!([outcome.output("strategy"), outcome.output("reason")], ["existing-branch", "resolved"]);
    world.finish();
}

#[test]
fn a_dry_run_shows_what_would_be_started() {
    let world = companion(|_| ());
    let outcome = done(by_workflow(&world).input("dry_run", "true"));
    let plan = outcome.report();
    for expected in
        ["start the workflow 'build.yml' of acme/dashboard at 'feature/Add_New-Feature'", "with tag=sha-abc1234"]
    {
        assert!(plan.contains(expected), "{plan}");
    }
    world.finish();
}

#[test]
fn a_server_that_does_not_name_the_run_is_asked_for_the_nonce() {
    for telling in [Telling::Refuses, Telling::Ignores] {
        let world = companion(|actions| {
            actions.telling = telling;
            actions.workflow("build.yml").script.hidden = 2;
        });
        let step = by_workflow(&world).input("dispatch_inputs", "tag={tag}\nnonce={nonce}");
        assert_eq!(done(step).output("reason"), "built");
        world.take_writes();
        let outcome = failing(by_workflow(&world), 1, "run-not-found");
        assert!(error(&outcome).contains("nonce={nonce}"), "{}", error(&outcome));
        world.explain_writes();
        world.finish();
    }
}

#[test]
fn a_repository_dispatch_is_found_by_its_nonce_among_others() {
    let world = companion(|actions| {
        for file in ["a.yml", "build.yml", "z.yml"] {
            let workflow = actions.workflow(file);
            workflow.repository_dispatch = vec!["build-image".into()];
            workflow.script = Script::ending("failure", 1);
        }
        let workflow = actions.workflow("build.yml");
        workflow.run_name = "Build for {landfall_nonce}".into();
        workflow.script = Script::ending("success", 1).pushing("dashboard:{tag}");
    });
    let step = dispatching(&world).inputs(&[("event_type", "build-image"), ("dispatch_inputs", "tag={tag}")]);
    let outcome = done(step);
    assert_eq!(outcome.output("reason"), "built");
    assert_eq!(world.take_writes(), [format!("github repository_dispatch {COMPANION} build-image")]);
    world.finish();
}

#[test]
fn a_run_that_fails_is_named_with_job_and_step() {
    let world = companion(|actions| actions.workflow("build.yml").script = Script::ending("failure", 2));
    let outcome = failing(by_workflow(&world), 1, "dispatched-run-failed");
    let said = error(&outcome);
    assert!(
        said.contains("ended with failure: job 'image' at step 'Push'") && said.contains("/actions/runs/"),
        "{said}"
    );
    assert_eq!(outcome.output("needs_build"), "true");
    assert!(outcome.has_output("run_url"));
    insta::assert_snapshot!(outcome.report());
    world.explain_writes();
    world.finish();
}

#[test]
fn a_run_that_leaves_no_image_is_a_failure() {
    let world = companion(|actions| actions.workflow("build.yml").script.pushes = None);
    let outcome = failing(by_workflow(&world), 1, "image-missing");
    assert!(error(&outcome).contains("left no image"), "{}", error(&outcome));
    world.explain_writes();
    world.finish();
}

/// A run that never ends by itself.
fn endless(actions: &mut Actions) {
    let change = Change { after: After::Polls(1), status: "in_progress".into(), conclusion: None };
    let script = &mut actions.workflow("build.yml").script;
    script.progress = vec![change];
    script.jobs = vec![("image".into(), vec!["Set up job".into(), "Build".into()])];
}

#[test]
fn a_signal_takes_the_run_back() {
    for signal in ["INT", "TERM"] {
        let world = companion(endless);
        let mut running = by_workflow(&world).start();
        running.wait_for_log("image: in progress, at 'Build'");
        running.signal(signal);
        let outcome = running.wait();
        outcome.failed(130, "cancelled");
        assert_eq!(world.take_writes(), [started(), format!("github cancel run {COMPANION} 9000000001")]);
        world.finish();
    }
}

#[test]
fn a_run_that_takes_too_long_is_taken_back() {
    let world = companion(endless);
    let outcome = failing(by_workflow(&world).input("timeout", "2s"), 1, "timeout");
    assert!(error(&outcome).contains("did not end within 2s"), "{}", error(&outcome));
    assert_eq!(world.take_writes().len(), 2);
    world.finish();
}

#[test]
fn silence_in_between_is_borne_and_a_refusal_is_not() {
    let world = companion(|_| ());
    let path = "*/actions/runs/9000000001";
    world.fault(Fault::on(Skin::Github).path(path).status(502).times(7));
    assert_eq!(done(by_workflow(&world)).output("reason"), "built");
    world.explain_writes();
    world.finish();
    let world = companion(|_| ());
    world.fault(Fault::on(Skin::Github).path(path).status(403));
    failing(by_workflow(&world), 5, "github-forbidden");
    world.explain_writes();
    world.finish();
}

#[test]
fn a_start_in_doubt_is_not_repeated() {
    let world = companion(|_| ());
    world.fault(Fault::on(Skin::Github).path("*/dispatches").status(502).after_effect());
    let outcome = failing(by_workflow(&world), 4, "github-unavailable");
    assert!(outcome.report().contains("Whether a run was started is not known"), "{}", outcome.report());
    assert_eq!(world.take_writes(), [started()]);
    world.finish();
}

#[test]
fn what_github_refuses_is_said_in_its_words() {
    let world = companion(|actions| actions.workflow("build.yml").inputs = Some(vec![]));
    let outcome = failing(by_workflow(&world), 1, "github-refused");
    assert!(error(&outcome).contains("Unexpected inputs provided"), "{}", error(&outcome));
    failing(by_workflow(&world).input("companion_token", TOKEN), 5, "github-forbidden");
    world.finish();
}

#[test]
fn inputs_that_do_not_go_together_are_named_at_once() {
    let world = companion(|_| ());
    let outcome = failing(dispatching(&world).input("poll_interval", "1ms"), 2, "invalid-input");
    let said = outcome.report();
    for expected in ["workflow or event_type is required", "poll_interval is too short"] {
        assert!(said.contains(expected), "{said}");
    }
    let outcome = failing(pull_request(&world).input("workflow", "build.yml"), 2, "invalid-input");
    assert!(error(&outcome).contains("workflow is for `strategy: dispatch` only"), "{}", error(&outcome));
    let both = dispatching(&world).inputs(&[("workflow", "b.yml"), ("event_type", "x")]);
    failing(both, 2, "invalid-input");
    world.finish();
}

/// A run that hangs is left by a step that is killed once it knows of it, or as soon as it is started.
#[test]
fn a_killed_step_s_run_is_taken_back_by_the_post_stage() {
    for tells in [true, false] {
        let world = companion(|actions| {
            endless(actions);
            if !tells {
                actions.telling = Telling::Ignores;
            }
        });
        let inputs = ("dispatch_inputs", "tag={tag}\nnonce={nonce}");
        let mut running = by_workflow(&world).inputs(&[inputs]).start();
        while world.take_writes().is_empty() {
            assert!(!running.has_ended(), "it ended before the dispatch");
            std::thread::yield_now();
        }
        if tells {
            running.wait_for_log("Run 9000000001 of");
        }
        running.signal("KILL");
        let outcome = running.wait();
        assert_eq!(outcome.code, None, "{}", outcome.report());
        let state: Vec<&str> = outcome.state.iter().map(|(name, _)| name.as_str()).collect();
        assert!(state.contains(&"dispatched") && !format!("{:?}", outcome.state).contains(TOLD), "{state:?}");
        let post = outcome.post().run();
        assert_eq!(post.code, Some(0), "{}", post.report());
        assert_eq!(world.take_writes(), [format!("github cancel run {COMPANION} 9000000001")], "{}", post.report());
        world.finish();
    }
}

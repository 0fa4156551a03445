//! `terraform` as the runner runs it: stand-ins for the tools in images of their own, on the real engine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may end by panicking, in its helpers as well"
)]

#[path = "support/engine.rs"]
mod parts;
mod support;
mod world;

use landfall::services::buildkit::{Builder, Logins};
use landfall::services::engine::Engine;
use serde_json::{Value, json};
use support::{Landfall, Outcome, SHA};
use world::github::Pull;
use world::{Skin, World};

const TOOL: &str = "landfall-test/terraform:1";
const SCANNER: &str = "landfall-test/trivy:1";

/// Stands in for Terraform: prints how it was called, and does what the files in its directory say.
/// Two streams have no order between them, so what a person reads goes to one; only JSON and lists stand alone.
const SCRIPT: &str = r#"#!/bin/sh
case $1 in init | apply) exec 2>&1 ;; esac
echo "+ $*" >&2
[ -f stub ] && . ./stub
case $1 in
fmt) [ -n "$UNFORMATTED" ] && echo "$UNFORMATTED" && exit 3; exit 0 ;;
init)
  echo "region is $TF_VAR_region, cache is $TF_PLUGIN_CACHE_DIR" >&2
  [ -f /landfall/out/backend.tfbackend ] && echo "backend settings: $(wc -l < /landfall/out/backend.tfbackend)" >&2
  [ -n "$INIT_ERROR" ] && echo "Error: $INIT_ERROR" >&2 && exit 1
  echo locked > .terraform.lock.hcl
  echo "Initializing the backend..." ;;
validate) [ -f validate.json ] && cat validate.json && exit 1; echo '{"valid": true, "diagnostics": []}' ;;
plan)
  [ -n "$PLAN_ERROR" ] && echo "Error: $PLAN_ERROR" >&2 && exit 1
  echo "  + password = hunter2-plan"; cp plan.json /landfall/out/tfplan; exit "${PLAN_EXIT:-2}" ;;
show) cat /landfall/out/tfplan ;;
apply)
  if [ -n "$SLOW" ]; then
    trap 'echo "Stopping operation..." >&2; exit 1' INT
    echo "slow" >&2; while :; do sleep 1 & wait $!; done
  fi
  echo "aws_s3_bucket.logs: Creating..."
  echo '{"serial": 7}' > terraform.tfstate
  [ -n "$APPLY_ERROR" ] && echo "Error: $APPLY_ERROR" >&2 && exit 1
  echo "Apply complete! Resources: 1 added, 0 changed, 1 destroyed."
  echo; echo "Outputs:"; echo; echo 'password = "hunter2-output"' ;;
esac
"#;

/// Stands in for Trivy.
const SCAN_SCRIPT: &str = r#"#!/bin/sh
echo "+ $*" >&2
[ -f scan.exit ] && echo "FATAL: no checks" >&2 && exit 1
if [ -f scan.sarif ]; then cat scan.sarif; else echo '{"runs": [{"tool": {"driver": {"name": "Trivy"}}, "results": []}]}'; fi
"#;

async fn images() -> Engine {
    static MADE: tokio::sync::Mutex<bool> = tokio::sync::Mutex::const_new(false);
    let engine = parts::engine().await;
    let mut made = MADE.lock().await;
    if !*made {
        let base = parts::base(&engine).await;
        for (name, script) in [(TOOL, SCRIPT), (SCANNER, SCAN_SCRIPT)] {
            let dockerfile = format!("FROM {base}\nCOPY --chmod=755 tool /bin/tool\nENTRYPOINT [\"/bin/tool\"]\n");
            let context = parts::context(&[("Dockerfile", &dockerfile), ("tool", script)]);
            std::os::unix::fs::PermissionsExt::set_mode(
                &mut std::fs::metadata(context.path().join("tool")).unwrap().permissions(),
                0o755,
            );
            let mut request = parts::request(context.path());
            request.tags = vec![name.into()];
            let (built, events) = parts::build(&Builder::for_engine(&engine), &request, &Logins::none()).await;
            built.unwrap_or_else(|error| panic!("{error}: {events:?}"));
        }
        *made = true;
    }
    engine
}

fn plan_json() -> String {
    json!({
        "format_version": "1.2", "terraform_version": "1.13.3",
        "resource_changes": [
            { "address": "aws_s3_bucket.logs", "mode": "managed", "change": { "actions": ["create"], "before": null,
              "after": { "bucket": "logs", "token": "hunter2-json" }, "before_sensitive": false, "after_sensitive": { "token": true } } },
            { "address": "aws_s3_bucket.old", "mode": "managed", "change": { "actions": ["delete"], "before": { "bucket": "old" }, "after": null, "before_sensitive": {}, "after_sensitive": false } },
        ],
    })
    .to_string()
}

fn world() -> World {
    let world = World::start_blocking();
    let mut state = world.state();
    let repository = state.github.repository("acme/app");
    repository.commit("main", &[("README.md", "x")]);
    let pull = Pull {
        state: "open".into(),
        head_ref: "feature".into(),
        head_sha: SHA.into(),
        head_repository: Some("acme/app".into()),
        base_ref: "main".into(),
        ..Pull::default()
    };
    repository.pulls.insert(42, pull);
    drop(state);
    world
}

fn payload() -> Value {
    let side = |branch: &str| json!({ "ref": branch, "sha": SHA, "repo": { "full_name": "acme/app" } });
    json!({
        "action": "synchronize", "number": 42,
        "pull_request": { "number": 42, "head": side("feature"), "base": side("main") },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    })
}

async fn step(world: &World, operation: &str) -> Landfall {
    images().await;
    Landfall::new("terraform")
        .envs(world.github_env())
        .env("DOCKER_HOST", parts::variable("DOCKER_HOST"))
        .token(world::github::TOKEN)
        .event("pull_request", &payload())
        .file("infra/main.tf", "resource \"aws_s3_bucket\" \"logs\" {}\n")
        .file("infra/plan.json", plan_json())
        .inputs(&[
            ("operation", operation),
            ("working_directory", "infra"),
            ("terraform_image", TOOL),
            ("scanner_image", SCANNER),
        ])
}

fn comments(world: &World) -> Vec<String> {
    world.state().github.repository("acme/app").said(42, "github-actions[bot]")
}

/// Runs on a thread of its own: the run blocks.
async fn run(step: Landfall) -> Outcome {
    tokio::task::spawn_blocking(|| step.run()).await.unwrap()
}

/// Nothing of a run is left in the engine.
async fn assert_clean(engine: &Engine, outcome: &Outcome) {
    let (_, token) = outcome.state.iter().find(|(name, _)| name == "terraform").expect("a token for the post step");
    assert!(engine.containers_with(&format!("com.github.landfall.terraform={token}")).await.unwrap().is_empty());
    assert!(engine.volumes_with(&format!("com.github.landfall.terraform={token}")).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_finds_nothing() {
    let world = world();
    let outcome = run(step(&world, "check").await.input("vars", "region=eu-central-1")).await;
    outcome.succeeded();
    assert_eq!(
        ["formatted", "valid", "findings", "passed"].map(|name| outcome.output(name)),
        ["true", "true", "0", "true"]
    );
    assert!(outcome.raw.contains("region is eu-central-1, cache is /landfall-providers"), "{}", outcome.raw);
    assert!(outcome.raw.contains("-backend=false") && !outcome.raw.contains("region=eu-central-1"), "{}", outcome.raw);
    assert_clean(&images().await, &outcome).await;
    world.explain_writes();
    insta::assert_snapshot!(
        "check",
        comments(&world)[0].replace(&world.base(world::Door::Github), "https://github.example")
    );
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_everything_that_is_wrong() {
    let world = world();
    let sarif = json!({ "runs": [{ "tool": { "driver": { "name": "Trivy" } }, "results": [{ "ruleId": "AVD-AWS-0086", "level": "error", "message": { "text": "No public access block" }, "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "main.tf" }, "region": { "startLine": 1 } } }] }] }] });
    let invalid = json!({ "valid": false, "diagnostics": [{ "severity": "error", "summary": "Missing required argument", "detail": "The argument \"bucket\" is required.", "range": { "filename": "main.tf", "start": { "line": 1, "column": 1 } } }] });
    let outcome = run(step(&world, "check")
        .await
        .file("infra/stub", "UNFORMATTED=main.tf\n")
        .file("infra/validate.json", invalid.to_string())
        .file("infra/scan.sarif", sarif.to_string()))
    .await;
    assert_eq!((outcome.code, outcome.output("reason")), (Some(3), "findings"), "{}", outcome.report());
    assert_eq!(
        ["formatted", "valid", "findings", "passed"].map(|name| outcome.output(name)),
        ["false", "false", "1", "false"]
    );
    let first = outcome.annotations("error")[0];
    assert_eq!((first.place["file"].as_str(), first.place["line"].as_str()), ("infra/main.tf", "1"));
    world.explain_writes();
    insta::assert_snapshot!("check_findings", outcome.report());
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_fails_is_never_clean() {
    let world = world();
    let outcome = run(step(&world, "check").await.file("infra/scan.exit", "")).await;
    outcome.failed(1, "tool-failed");
    assert!(!outcome.has_output("findings"));
    assert_clean(&images().await, &outcome).await;
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_told_and_applied_for_its_commit_only() {
    let world = world();
    let planned = run(step(&world, "plan").await.inputs(&[
        ("backend_config", "bucket=state\nsecret_key=hunter2-backend"),
        ("secret_vars", "db_password=hunter2-var"),
        ("var_file", "prod.tfvars"),
    ]))
    .await;
    planned.succeeded();
    for secret in ["hunter2-plan", "hunter2-json", "hunter2-backend", "hunter2-var"] {
        planned.keeps(secret);
        assert!(!comments(&world)[0].contains(secret));
    }
    assert_eq!(
        ["adds", "changes", "destroys", "has_changes"].map(|name| planned.output(name)),
        ["1", "0", "1", "true"]
    );
    assert_eq!(planned.output("plan_file"), "infra/tfplan");
    assert!(
        planned.raw.contains("backend settings: 2") && planned.raw.contains("-var-file=prod.tfvars"),
        "{}",
        planned.raw
    );
    assert_clean(&images().await, &planned).await;
    world.explain_writes();
    insta::assert_snapshot!(
        "plan",
        comments(&world)[0].replace(&world.base(world::Door::Github), "https://github.example")
    );
    let read = |name: &str| std::fs::read(planned.workspace().join("infra").join(name)).unwrap();
    let (plan, record) = (read("tfplan"), read("tfplan.landfall.json"));
    assert_eq!(read(".terraform.lock.hcl"), b"locked\n");
    let apply = |plan: &[u8], sha: &str| {
        let (plan, record, sha) = (plan.to_vec(), record.clone(), sha.to_owned());
        let world = &world;
        async move {
            let step = step(world, "apply").await.file("infra/tfplan", plan).file("infra/tfplan.landfall.json", record);
            run(step.input("sha", &sha)).await
        }
    };
    let other = apply(&plan, &"f".repeat(40)).await;
    other.failed(3, "plan-refused");
    assert!(other.state.is_empty(), "nothing may be made: {:?}", other.state);
    let altered = apply(b"{}", SHA).await;
    altered.failed(3, "plan-refused");
    insta::assert_snapshot!("apply_refused", altered.report());
    let applied = apply(&plan, SHA).await;
    applied.succeeded().keeps("hunter2-output").keeps("hunter2-json");
    assert_eq!((applied.output("adds"), applied.output("destroys")), ("1", "1"));
    assert_eq!(
        std::fs::read_to_string(applied.workspace().join("infra/terraform.tfstate")).unwrap().trim(),
        "{\"serial\": 7}"
    );
    assert_clean(&images().await, &applied).await;
    insta::assert_snapshot!("apply", applied.report());
    world.explain_writes();
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_applied_without_a_plan() {
    let world = world();
    let outcome = run(step(&world, "apply").await).await;
    outcome.failed(2, "plan-missing");
    let outcome = run(step(&world, "apply").await.input("plan_file", "../tfplan")).await;
    outcome.failed(2, "invalid-input");
    assert!(world.calls(Skin::Github).is_empty());
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_of_a_tool_has_its_code_its_words_and_a_hint() {
    let world = world();
    for (operation, stub, hint) in [
        ("plan", "INIT_ERROR='Inconsistent dependency lock file'", "commit .terraform.lock.hcl"),
        ("plan", "PLAN_ERROR='Error acquiring the state lock'", "force-unlock"),
        ("check", "INIT_ERROR='Failed to install provider'", "network of the engine"),
    ] {
        let outcome = run(step(&world, operation).await.file("infra/stub", stub)).await;
        outcome.failed(1, "tool-failed");
        let said = &outcome.annotations("error")[0].message;
        assert!(said.contains("exit code 1") && said.contains(hint), "{said}");
        assert_clean(&images().await, &outcome).await;
    }
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_fails_when_it_is_asked_for() {
    let world = world();
    let outcome = run(step(&world, "plan").await.inputs(&[("fail_on", "changes"), ("comment", "never")])).await;
    outcome.failed(3, "plan-has-changes");
    assert_eq!(outcome.output("passed"), "false");
    let empty = json!({ "format_version": "1.2", "planned_values": {}, "resource_changes": [] }).to_string();
    let outcome = run(step(&world, "plan")
        .await
        .file("infra/plan.json", empty)
        .file("infra/stub", "PLAN_EXIT=0")
        .inputs(&[("fail_on", "changes"), ("comment", "never")]))
    .await;
    outcome.succeeded();
    assert_eq!((outcome.output("has_changes"), outcome.output("passed")), ("false", "true"));
    world.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_apply_is_interrupted_and_cleaned_up() {
    let world = world();
    let planned = run(step(&world, "plan").await.input("comment", "never")).await;
    planned.succeeded();
    let read = |name: &str| std::fs::read(planned.workspace().join("infra").join(name)).unwrap();
    let step = step(&world, "apply")
        .await
        .file("infra/tfplan", read("tfplan"))
        .file("infra/tfplan.landfall.json", read("tfplan.landfall.json"))
        .file("infra/stub", "SLOW=1");
    let outcome = tokio::task::spawn_blocking(|| {
        let mut running = step.start();
        running.wait_for_log("slow");
        running.signal("INT");
        running.wait()
    })
    .await
    .unwrap();
    assert_eq!((outcome.code, outcome.output("reason")), (Some(130), "cancelled"), "{}", outcome.report());
    let engine = images().await;
    let token = outcome.state.iter().find(|(name, _)| name == "terraform").unwrap().1.clone();
    let post = run(outcome.post()).await;
    assert_eq!(post.code, Some(0), "{}", post.report());
    assert!(engine.containers_with(&format!("com.github.landfall.terraform={token}")).await.unwrap().is_empty());
    assert!(engine.volumes_with(&format!("com.github.landfall.terraform={token}")).await.unwrap().is_empty());
    world.finish();
}

/// The real tools, when this machine has their images; nothing can be pulled here.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_terraform_when_its_image_is_present() {
    let engine = images().await;
    let names = ["hashicorp/terraform:1.13", "ghcr.io/opentofu/opentofu:1.10"];
    for name in names {
        if engine.image(name).await.unwrap().is_none() {
            eprintln!("NOT RUN with {name}: the engine has no such image");
            continue;
        }
        let world = world();
        let outcome = run(step(&world, "check")
            .await
            .file("infra/main.tf", "output \"x\" {\n  value = 1\n}\n")
            .inputs(&[("terraform_image", name), ("scan", "false"), ("comment", "never")]))
        .await;
        outcome.succeeded();
        assert_eq!(outcome.output("valid"), "true");
        world.finish();
    }
}

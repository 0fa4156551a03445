//! Purpose: an API on ECS whose every workflow that touches production is started by hand.

use crate::event::{Event, PullRequest, REPOSITORY};
use crate::hosts::{self, Done, Host, checkout};
use crate::image::{base, tool};
use crate::stage::Stage;
use crate::walk::{Walk, Walked};
use crate::world::ecs::Script;
use crate::world::http::Door;

const FOLDER: &str = "examples/broker/.github/workflows";
const SERVICE: &str = "sandbox-broker-api";
const CLUSTER: &str = "sandbox-broker-cluster";

/// Stands in for Terraform: a file `changes` in the directory is the plan; nothing changes without.
const TERRAFORM: &str = r#"#!/bin/sh
case $1 in
fmt) exit 0 ;;
init) echo locked > .terraform.lock.hcl ;;
validate) echo '{"valid": true, "diagnostics": []}' ;;
plan) if [ -f changes ]; then cp changes /landfall/out/tfplan; exit 2; fi; echo '{"format_version": "1.2", "planned_values": {}}' > /landfall/out/tfplan ;;
show) cat /landfall/out/tfplan ;;
esac
"#;

/// A plan that adds a bucket.
const CHANGES: &str = r#"{"format_version": "1.2", "resource_changes": [
  {"address": "aws_s3_bucket.logs", "mode": "managed", "change": {"actions": ["create"], "before": null, "after": {"bucket": "logs"}}}]}"#;

/// Stands in for Trivy.
const SCANNER: &str = r#"#!/bin/sh
echo '{"runs": [{"tool": {"driver": {"name": "Trivy"}}, "results": []}]}'
"#;

struct Broker {
    stage: Stage,
    sha: String,
    head: String,
    merge: String,
}

impl Broker {
    fn new(files: &[(&str, &str)]) -> Self {
        let stage = Stage::new();
        stage.registry("123456789012.dkr.ecr.eu-central-1.amazonaws.com");
        // The command `config` makes this name itself.
        stage.registry("${{ steps.config.outputs.ecr_registry }}");
        let health = format!("{}/{SERVICE}", stage.url(Door::Health, crate::stage::Network::Bridge));
        stage.rename("https://broker.example.com", &health);
        stage.role("github-actions-deploy").role("github-actions-terraform-plan");
        let dockerfile = format!("FROM {}\nCOPY --chmod=755 python /bin/python\nCOPY app /app\n", base());
        let own = [
            ("Dockerfile", dockerfile.as_str()),
            ("python", "#!/bin/sh\ntest -f /app/main.py\n"),
            ("app/main.py", "print('broker')\n"),
            ("terraform/main.tf", "resource \"aws_s3_bucket\" \"logs\" {}\n"),
        ];
        let sha = stage.commit("main", "examples/broker", &own);
        let head = stage.commit("topic", "examples/broker", &[&own[..], files].concat());
        let merge = stage.pull(7, "topic", &head, "main");
        {
            let mut state = stage.world.state();
            state.images.repository(SERVICE);
            state.service(CLUSTER, SERVICE, "sandbox-broker-api:old");
        }
        Self { stage, sha, head, merge }
    }

    fn pull_request(&self, file: &str) -> Walk<'_> {
        let pull = PullRequest {
            number: 7,
            head: "topic",
            head_sha: &self.head,
            head_repository: REPOSITORY,
            base: "main",
            merge_sha: &self.merge,
        };
        self.stage.walk(&format!("{FOLDER}/{file}"), Event::pull_request(&pull))
    }

    fn by_hand(&self, file: &str, inputs: &[(&str, &str)]) -> Walked {
        let walk = self.stage.walk(&format!("{FOLDER}/{file}"), Event::dispatch(&self.sha, inputs));
        let job = file.trim_end_matches(".yml");
        walk.host(job, "actions/checkout", checkout)
            .secret("SLACK_WEBHOOK", &self.stage.webhook("slack"))
            .given("notify", "format", "slack") // elsewhere the host says so
            .given("deploy", "poll_interval", "50ms")
            .given("rollback", "poll_interval", "50ms")
            .go()
    }

    fn terraform<'a>(&self, walk: Walk<'a>) -> Walk<'a> {
        let (terraform, scanner) =
            (format!("{}-terraform:1", self.stage.unique), format!("{}-trivy:1", self.stage.unique));
        tool(&terraform, TERRAFORM);
        tool(&scanner, SCANNER);
        self.stage.made(&terraform);
        self.stage.made(&scanner);
        walk.given("terraform", "terraform_image", &terraform).given("terraform", "scanner_image", &scanner)
    }

    fn comments(&self) -> Vec<String> {
        self.stage.world.state().github.repository(REPOSITORY).said(7, "github-actions[bot]")
    }

    fn serves(&self) -> String {
        let mut state = self.stage.world.state();
        let serving = state.ecs.find(CLUSTER, SERVICE).serving().unwrap().task_definition.clone();
        state.ecs.images(&serving)[0].1.clone()
    }
}

/// What pytest leaves, one failure among the integration tests.
fn pytest(host: &mut Host<'_>) -> Done {
    let suite = host.env("SUITE").to_owned();
    let failure = if suite == "integration" { "<failure message=\"503 is not 200\">at line 3</failure>" } else { "" };
    let failures = u8::from(!failure.is_empty());
    host.write("results/junit.xml", format!(
        "<testsuites><testsuite name=\"{suite}\" tests=\"2\" failures=\"{failures}\"><testcase classname=\"{suite}\" name=\"test_health\"/>\
         <testcase classname=\"{suite}\" name=\"test_order\">{failure}</testcase></testsuite></testsuites>"
    ));
    host.write("results/coverage.xml", "<coverage lines-valid=\"10\" lines-covered=\"8\" line-rate=\"0.8\"><packages><package><classes>\
        <class filename=\"app/main.py\"><lines><line number=\"1\" hits=\"1\"/></lines></class></classes></package></packages></coverage>");
    host.says = suite;
    if failures == 0 { Ok(()) } else { Err("1 test failed".to_owned()) }
}

#[test]
fn broker_tests_become_one_comment() {
    let broker = Broker::new(&[]);
    let walk = || {
        broker
            .pull_request("test.yml")
            .host("test", "actions/checkout", checkout)
            .host("test", "python3 -m venv", hosts::passes)
            .host("test", ".venv/bin/pytest", pytest)
            .host("test", "actions/upload-artifact", hosts::upload_artifact)
            .host("report", "actions/checkout", checkout)
            .host("report", "actions/download-artifact", hosts::download_artifact)
    };
    let walked = walk().go();
    walked.ended(&[("test", "failure"), ("report", "failure")]);
    insta::assert_snapshot!(walked.told());
    walk().go();
    assert_eq!(broker.comments().len(), 1, "one comment, updated in place");
    assert!(broker.comments()[0].contains("test_order"), "{}", broker.comments()[0]);
    broker.stage.world.explain_writes();
    broker.stage.finish();
}

#[test]
fn broker_builds_and_plans_without_touching_anything() {
    let broker = Broker::new(&[("terraform/changes", CHANGES)]);
    let built = broker.pull_request("build.yml").host("build", "actions/checkout", checkout);
    // The builder of an old engine checks no Dockerfile, and another one would have to be pulled.
    let built = built.given("build", "builder", "engine").given("build", "lint", "false").go();
    built.ended(&[("build", "success")]);
    assert!(broker.stage.world.take_writes().is_empty());
    let planned = broker.terraform(broker.pull_request("terraform.yml"));
    let planned = planned.host("check", "actions/checkout", checkout).host("plan", "actions/checkout", checkout).go();
    planned.ended(&[("check", "success"), ("plan", "success")]);
    assert_eq!(planned.output("plan", "terraform", "adds"), "1");
    insta::assert_snapshot!([&built, &planned].map(Walked::told).join("\n"));
    assert!(broker.comments().iter().any(|comment| comment.contains("aws_s3_bucket.logs")), "{:?}", broker.comments());
    broker.stage.world.explain_writes();
    broker.stage.finish();
}

#[test]
fn broker_drift_is_told() {
    let broker = Broker::new(&[]);
    let walk = || {
        let walk = broker.stage.walk(
            &format!("{FOLDER}/drift.yml"),
            Event::schedule(&broker.stage.world.state().github.repository(REPOSITORY).branches["main"].clone()),
        );
        broker
            .terraform(walk)
            .host("drift", "actions/checkout", checkout)
            .given("notify", "format", "slack")
            .secret("SLACK_WEBHOOK", &broker.stage.webhook("slack"))
            .go()
    };
    walk().ended(&[("drift", "success")]);
    assert!(broker.stage.world.state().webhooks.messages.is_empty());
    broker.stage.commit("main", "examples/broker", &[("terraform/changes", CHANGES)]);
    let drifted = walk();
    drifted.ended(&[("drift", "failure")]);
    insta::assert_snapshot!(drifted.told());
    assert_eq!(broker.stage.world.state().webhooks.messages.len(), 1);
    broker.stage.world.explain_writes();
    broker.stage.finish();
}

#[test]
fn broker_goes_to_production_by_hand_and_comes_back() {
    let broker = Broker::new(&[]);
    let refused = broker.by_hand("deploy.yml", &[("confirm", "deploy")]);
    refused.ended(&[("deploy", "failure")]);
    assert_eq!(refused.output("deploy", "config", "reason"), "not-confirmed");
    assert!(broker.stage.tags(SERVICE).is_empty(), "nothing is built before the word is right");
    let deployed = broker.by_hand("deploy.yml", &[("confirm", "DEPLOY")]);
    deployed.ended(&[("deploy", "success")]);
    let digest = deployed.output("deploy", "build", "digest");
    assert!(broker.serves().ends_with(&digest), "{}", broker.serves());
    // The next version crashes: it is taken back, and the channel hears of it.
    broker.stage.world.state().ecs.script(SERVICE, &format!("{SERVICE}:3"), Script::crash_loop(1));
    let second = broker.stage.commit("main", "examples/broker", &[("app/main.py", "print(1 / 0)\n")]);
    let crashed = Broker { sha: second, ..broker };
    let walked = crashed.by_hand("deploy.yml", &[("confirm", "DEPLOY")]);
    walked.ended(&[("deploy", "failure")]);
    assert_eq!(walked.output("deploy", "deploy", "status"), "rolled-back");
    assert!(crashed.serves().ends_with(&digest));
    let back = crashed.by_hand("rollback.yml", &[("confirm", "ROLLBACK"), ("task_revision", "1")]);
    back.ended(&[("rollback", "success")]);
    assert_eq!(crashed.serves(), "sandbox-broker-api:old");
    insta::assert_snapshot!([&refused, &deployed, &walked, &back].map(Walked::told).join("\n"));
    assert_eq!(crashed.stage.world.state().webhooks.messages.len(), 3, "one for each deployment");
    crashed.stage.world.explain_writes();
    crashed.stage.finish();
}

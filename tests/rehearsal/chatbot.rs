//! Purpose: an application on ECS: build, approval, migration, deployment; and back.

use serde_json::json;

use crate::event::Event;
use crate::hosts::checkout;
use crate::stage::Stage;
use crate::walk::{Walk, Walked};
use crate::world::ecs::{Script, TaskScript};

const DEPLOY: &str = "examples/chatbot/.github/workflows/deploy.yml";
const ROLLBACK: &str = "examples/chatbot/.github/workflows/rollback.yml";
const IMAGE: &str = "better-chatbot";

/// Production as it runs, and a commit that was pushed to main.
struct Chatbot {
    stage: Stage,
    sha: String,
}

impl Chatbot {
    fn new() -> Self {
        let stage = Stage::new();
        stage.registry("123456789012.dkr.ecr.us-west-2.amazonaws.com");
        stage.role("github-action-ecr-push-image").role("github-action-deploy-app");
        let definition = json!({
            "family": IMAGE, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "512", "memory": "1024",
            "runtimePlatform": { "cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX" },
            "executionRoleArn": "arn:aws:iam::123456789012:role/ecsTaskExecutionRole",
            "containerDefinitions": [{ "name": IMAGE, "image": "better-chatbot:old", "essential": true,
                "portMappings": [{ "containerPort": 3000 }],
                "logConfiguration": { "logDriver": "awslogs", "options": { "awslogs-group": "/ecs/better-chatbot",
                    "awslogs-region": "us-west-2", "awslogs-stream-prefix": "app" } } }],
        });
        let sha = stage.commit(
            "main",
            "examples/chatbot",
            &[
                ("package.json", r#"{"name": "better-chatbot", "version": "1.4.0"}"#),
                ("docker/Dockerfile", "FROM scratch\nCOPY package.json /\nENTRYPOINT [\"/chat\"]\n"),
                ("ecs/production/task-definition.json", &definition.to_string()),
            ],
        );
        {
            let mut state = stage.world.state();
            state.aws.region = "us-west-2".into();
            state.images.repository(IMAGE);
            state.logs.group("/ecs/better-chatbot");
            let first = state.task_definition(IMAGE, &definition);
            state.service_of("production-cluster", IMAGE, &first, 1);
        }
        Self { stage, sha }
    }

    fn deploy(&self) -> Walked {
        let walk = self.stage.walk(DEPLOY, Event::push("main", &self.sha));
        let walk = walk.host("build", "actions/checkout", checkout).host("deploy", "actions/checkout", checkout);
        quick(walk).secret("SLACK_WEBHOOK_URL", &self.stage.webhook("slack")).given("build", "qemu", "never").go()
    }

    fn rollback(&self, inputs: &[(&str, &str)]) -> Walked {
        let walk = self.stage.walk(ROLLBACK, Event::dispatch(&self.sha, inputs));
        quick(walk.host("rollback", "actions/checkout", checkout)).go()
    }

    /// The image that the service serves.
    fn serves(&self) -> String {
        let mut state = self.stage.world.state();
        let serving = state.ecs.find("production-cluster", IMAGE).serving().unwrap().task_definition.clone();
        state.ecs.images(&serving)[0].1.clone()
    }
}

/// Looks at the world more often than at AWS.
fn quick(walk: Walk<'_>) -> Walk<'_> {
    walk.given("deploy", "poll_interval", "50ms").given("rollback", "poll_interval", "50ms")
}

#[test]
fn chatbot_ships_and_goes_back() {
    let chatbot = Chatbot::new();
    let walked = chatbot.deploy();
    walked.ended(&[("build", "success"), ("deploy", "success")]);
    insta::assert_snapshot!("chatbot_ships", walked.told());
    let digest = walked.output("build", "build", "digest");
    assert!(chatbot.serves().ends_with(&digest), "{} is not {digest}", chatbot.serves());
    let parameter = chatbot.stage.world.state().parameters.0["/better-chatbot/production/image-tag"].value.clone();
    assert_eq!(parameter, format!("1.4.0-{}", &chatbot.sha[..7]));
    let writes = chatbot.stage.world.take_writes();
    let at = |what: &str| {
        writes.iter().position(|write| write.contains(what)).unwrap_or_else(|| panic!("{what}: {writes:?}"))
    };
    assert!(at("RunTask") < at("UpdateService"), "the migration comes first: {writes:?}");

    let listed = chatbot.rollback(&[("list", "true")]);
    listed.ended(&[("rollback", "success")]);
    assert!(chatbot.stage.world.take_writes().is_empty());
    let refused = chatbot.rollback(&[("confirm", "yes")]);
    refused.ended(&[("rollback", "failure")]);
    assert!(chatbot.stage.world.take_writes().is_empty());
    let back = chatbot.rollback(&[("confirm", "ROLLBACK")]);
    back.ended(&[("rollback", "success")]);
    insta::assert_snapshot!("chatbot_goes_back", [&listed, &refused, &back].map(Walked::told).join("\n"));
    assert_eq!(chatbot.serves(), "better-chatbot:old");
    chatbot.stage.world.explain_writes();
    chatbot.stage.finish();
}

#[test]
fn chatbot_takes_a_bad_version_back_and_says_so() {
    let chatbot = Chatbot::new();
    chatbot.stage.world.state().ecs.script(IMAGE, "*better-chatbot@*", Script::crash_loop(1));
    let walked = chatbot.deploy();
    walked.ended(&[("build", "success"), ("deploy", "failure")]);
    assert_eq!(walked.output("deploy", "deploy", "status"), "rolled-back");
    assert_eq!(chatbot.serves(), "better-chatbot:old");
    insta::assert_snapshot!("chatbot_crashes", walked.told());
    assert!(walked.summary("deploy").contains("fatal: exiting with 1"), "{}", walked.summary("deploy"));
    let told = chatbot.stage.world.state().webhooks.messages.clone();
    assert_eq!(told.len(), 1);
    insta::assert_snapshot!(
        "chatbot_crash_message",
        walked.named(&serde_json::to_string_pretty(&told[0].body).unwrap())
    );
    chatbot.stage.world.explain_writes();
    chatbot.stage.finish();
}

#[test]
fn chatbot_is_not_touched_when_its_migration_fails() {
    let chatbot = Chatbot::new();
    chatbot
        .stage
        .world
        .state()
        .ecs
        .task_script("*db:migrate*", TaskScript::exits(1).logging(&["relation users exists"]));
    let walked = chatbot.deploy();
    walked.ended(&[("deploy", "failure")]);
    assert_eq!(walked.output("deploy", "deploy", "reason"), "migration-failed");
    let writes = chatbot.stage.world.take_writes();
    assert!(!writes.iter().any(|write| write.contains("UpdateService")), "{writes:?}");
    assert_eq!(chatbot.serves(), "better-chatbot:old");
    chatbot.stage.finish();
}

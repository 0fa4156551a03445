//! What every command does alike: which command, inputs, config, secrets, outputs, signals, the post stage.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end by panicking")]

mod support;
mod world;

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::{Value, json};
use support::{Landfall, Outcome, SHA};
use world::{Fault, Skin, World};

const CONFIG: &str = "\
environments:
  staging:
    branches: [main]
    image: ghcr.io/acme/from-config
    version: 1.0.0
  production:
    image: ghcr.io/acme/production
";

/// `tags` for a commit on `main`: a command that needs nobody else.
/// All commands in their order.
fn commands() -> String {
    let names: Vec<&str> = landfall::commands::all().iter().map(|command| command.name).collect();
    names.join(", ")
}

fn tags() -> Landfall {
    Landfall::new("tags").input("image", "ghcr.io/acme/app").event("push", &pushed())
}

/// A push whose payload has the commit's time, so that GitHub need not be asked.
fn pushed() -> Value {
    json!({
        "ref": "refs/heads/main", "after": SHA, "deleted": false,
        "head_commit": { "id": SHA, "timestamp": "2025-03-01T10:00:00+02:00" },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    })
}

/// The one error of a run.
fn error(outcome: &Outcome) -> String {
    let [error] = outcome.annotations("error")[..] else {
        panic!("not exactly one error:\n{}", outcome.report());
    };
    outcome.normalised(&format!("{}: {}", error.title, error.message))
}

/// The warnings of a run.
fn warnings(outcome: &Outcome) -> Vec<String> {
    let warnings = outcome.annotations("warning");
    warnings.iter().map(|warning| warning.message.clone()).collect()
}

#[test]
fn an_unknown_command_names_the_nearest() {
    let near = Landfall::new("tagz").run();
    near.failed(2, "unknown-command");
    insta::assert_snapshot!(near.report());
    let far = Landfall::new("tags").arguments(&[]).input("command", "hoist").run();
    far.failed(2, "unknown-command");
    assert_eq!(error(&far), format!("Unknown command: there is no command 'hoist'. There are: {}.", commands()));
}

#[test]
fn no_command_is_said_so() {
    // The runner passes an empty argument when an expression is empty.
    for arguments in [&[][..], &[""]] {
        let outcome = Landfall::new("tags").arguments(arguments).run();
        outcome.failed(2, "missing-command");
        assert_eq!(
            error(&outcome),
            format!("No command: the input 'command' is required and not set. Set it to one of: {}.", commands())
        );
    }
    let by_input = tags().arguments(&[]).input("command", "tags").run();
    by_input.succeeded();
}

#[test]
fn arguments_that_cannot_be_used_are_a_failure_like_any_other() {
    let flag = tags().arguments(&["tags", "--imgae", "x"]).run();
    flag.failed(2, "invalid-input");
    let word = tags().arguments(&["tags", "acme/app"]).run();
    word.failed(2, "invalid-input");
    let value = tags().arguments(&["tags", "--image"]).run();
    value.failed(2, "invalid-input");
    insta::assert_snapshot!([error(&flag), error(&word), error(&value)].join("\n"));
}

#[test]
fn an_input_that_is_not_taken_is_a_warning() {
    let outcome = tags()
        .inputs(&[("imgae", "x"), ("qqqqqqqqqq", "x"), ("cluster", "prod")])
        .input("entrypoint", "/landfall")
        .run();
    outcome.succeeded();
    assert_eq!(
        warnings(&outcome),
        [
            "the input 'cluster' belongs to deploy, rollback and is ignored here",
            "the input 'imgae' is not known and is ignored; did you mean 'image'?",
            "the input 'qqqqqqqqqq' is not known and is ignored",
        ]
    );
}

#[test]
fn what_is_missing_or_contradicts_is_named_at_once() {
    let outcome = Landfall::new("deploy")
        .inputs(&[
            ("container", "web"),
            ("migrate_container", "job"),
            ("health_url", "web.example.com/health"),
            ("ssm_parameters", "image={image}"),
        ])
        .run();
    outcome.failed(2, "invalid-input");
    insta::assert_snapshot!(outcome.report());
}

#[test]
fn all_bad_values_are_named_at_once() {
    let outcome = Landfall::new("deploy")
        .inputs(&[
            ("wait", "maybe"),
            ("timeout", "soon"),
            ("desired_count", "many"),
            ("environment_variables", "NAME"),
            ("on_failure", "explode"),
            ("log_level", "loud"),
            ("role_duration", "1 fortnight"),
        ])
        .run();
    outcome.failed(2, "invalid-input");
    insta::assert_snapshot!(outcome.report());
}

#[test]
fn an_input_may_be_written_with_hyphens_but_not_both_ways_differently() {
    let hyphened = tags().input("dry-run", "true").run();
    assert_eq!((hyphened.code, hyphened.output("reason")), (Some(0), "dry-run"));
    assert_eq!(warnings(&hyphened), [""; 0], "a hyphen is nothing to warn about");
    let agreeing = tags().input("dry-run", "true").input("dry_run", "true").run();
    assert_eq!(agreeing.output("reason"), "dry-run");
    let differing = tags().input("dry-run", "true").input("dry_run", "false").run();
    differing.failed(2, "invalid-input");
    assert_eq!(
        error(&differing),
        "Invalid input: dry_run is given twice, with a hyphen and with an underscore, and the two differ; give it once"
    );
    assert!(!differing.has_output("tag"));
}

#[test]
fn a_wrong_config_is_shown_by_line_and_column() {
    let wrong = [
        "environment:\n  staging: {}\n",
        "tags:\n  rules:\n    - 'push: {sha}'\n  keeps: '.'\n",
        "environments: [staging]\n",
        "environments:\n  staging: {\n",
    ];
    let errors = wrong.map(|text| {
        let outcome = tags().file(".github/landfall.yml", text).run();
        outcome.failed(2, "invalid-input");
        error(&outcome)
    });
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn a_config_that_is_named_must_be_there() {
    tags().run().succeeded();
    let outcome = tags().input("config", "ci/landfall.yml").run();
    outcome.failed(2, "invalid-input");
    insta::assert_snapshot!(error(&outcome));
    let elsewhere = tags()
        .file("ci/landfall.yml", CONFIG)
        .inputs(&[("config", "ci/landfall.yml"), ("environment", "production"), ("image", "")])
        .run();
    elsewhere.succeeded();
    assert_eq!(elsewhere.output("image_name"), "ghcr.io/acme/production");
}

#[test]
fn an_unknown_environment_names_those_there_are() {
    let unknown = tags().file(".github/landfall.yml", CONFIG).input("environment", "prod").run();
    unknown.failed(2, "invalid-input");
    let none = tags().input("environment", "prod").run();
    none.failed(2, "invalid-input");
    insta::assert_snapshot!([error(&unknown), error(&none)].join("\n"));
}

#[test]
fn a_flag_wins_over_an_input_and_an_input_over_the_environment() {
    let run = || tags().file(".github/landfall.yml", CONFIG).input("environment", "staging");
    let name = |run: Landfall| {
        let outcome = run.run();
        outcome.succeeded();
        outcome.output("image_name").to_owned()
    };
    let flagged = ["tags", "--image", "ghcr.io/acme/from-flag"];
    assert_eq!(
        [
            name(run().input("image", "")),
            name(run()),
            name(run().arguments(&flagged)),
            name(run().input("image", "").arguments(&flagged)),
        ],
        ["ghcr.io/acme/from-config", "ghcr.io/acme/app", "ghcr.io/acme/from-flag", "ghcr.io/acme/from-flag",]
    );
}

#[test]
fn a_wrong_value_of_an_environment_is_found_like_one_of_an_input() {
    let outcome = tags()
        .file(".github/landfall.yml", "environments:\n  staging:\n    timeout: never\n")
        .input("environment", "staging")
        .run();
    outcome.failed(2, "invalid-input");
    assert_eq!(
        error(&outcome),
        "Invalid input: timeout is 'never', which is not a duration; use for example 90s, 15m, 48h or 7d"
    );
}

#[test]
fn an_event_file_that_cannot_be_read_is_named() {
    let missing = tags().env("GITHUB_EVENT_PATH", "/nowhere/event.json").run();
    missing.failed(2, "event-unreadable");
    let torn = tags();
    let path = torn.temp().join("torn.json");
    std::fs::write(&path, "{\"ref\": ").unwrap();
    let torn = torn.env("GITHUB_EVENT_PATH", path).run();
    torn.failed(2, "event-unreadable");
    insta::assert_snapshot!([error(&missing), error(&torn)].join("\n"));
}

#[test]
fn text_that_is_not_utf_8_matters_in_inputs_only() {
    let broken = OsStr::from_bytes(b"caf\xe9");
    let input = tags().input("version", broken).run();
    input.failed(2, "invalid-input");
    assert_eq!(error(&input), "Invalid input: version is not valid UTF-8; give it as UTF-8 text");
    tags().env("LS_COLORS", broken).run().succeeded();
}

#[test]
fn secrets_are_masked_before_anything_else_is_said() {
    let secrets = ["ghs_secretofjob", "pass-of-registry", "token-of-npm", "rest-of-key"];
    let outcome = Landfall::new("build")
        .token(secrets[0])
        .inputs(&[
            ("registry_username", "robot"),
            ("registry_password", "pass-of-registry"),
            ("secrets", "npm=token-of-npm\nkey=-----BEGIN-----\nrest-of-key"),
            // Values that messages quote.
            ("timeout", "pass-of-registry"),
            ("max_size", "token-of-npm"),
            ("provider", "rest-of-key"),
        ])
        .run();
    outcome.failed(2, "invalid-input");
    for secret in secrets {
        outcome.keeps(secret);
    }
    let first = outcome.raw.lines().next().unwrap();
    assert!(first.starts_with("::add-mask::"), "{}", outcome.raw);
    assert!(error(&outcome).contains("timeout is '***'"), "{}", outcome.raw);

    // What follows `$` is a variable's name, or the rest of a secret that happens to begin so.
    let outcome = Landfall::new("build")
        .event("push", &pushed())
        .input("secrets", "npm=$dollar-secret\nkey=@dollar-secret")
        .run();
    outcome.failed(2, "invalid-input").keeps("dollar-secret");
    insta::assert_snapshot!(error(&outcome));
}

#[test]
fn no_summary_is_written_when_none_is_wanted() {
    for run in [tags(), tags().input("timeout", "soon"), Landfall::new("tagz")] {
        let outcome = run.input("summary", "false").run();
        assert_eq!(outcome.summary, "", "{}", outcome.report());
    }
    let outcome = tags().input("timeout", "soon").run();
    assert_ne!(outcome.summary, "");
}

#[test]
fn outputs_that_cannot_be_written_are_a_failure() {
    let outcome = tags().env("GITHUB_OUTPUT", "/nowhere/output").run();
    assert_eq!(outcome.code, Some(1), "{}", outcome.report());
    insta::assert_snapshot!(error(&outcome));
    // A run that failed already stays what it was.
    let outcome = tags().input("timeout", "soon").env("GITHUB_OUTPUT", "/nowhere/output").run();
    assert_eq!(outcome.code, Some(2));
    assert!(error(&outcome).starts_with("Invalid input: timeout"));
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let world = World::start().await;
    world.state().service("prod", "web", "acme/web:1");
    let outcome = Landfall::new("deploy")
        .envs(world.env())
        .inputs(&[("cluster", "prod"), ("service", "web"), ("desired_count", "3"), ("dry_run", "true")])
        .run();
    assert_eq!(
        (outcome.code, outcome.output("result"), outcome.output("reason")),
        (Some(0), "skipped", "dry-run"),
        "{}",
        outcome.report()
    );
    insta::assert_snapshot!(outcome.report());
    // No write is left to be explained.
    world.finish();
}

#[test]
fn no_engine_is_an_upstream_that_is_away() {
    let run = Landfall::new("build").event("push", &pushed()).file("Dockerfile", "FROM scratch\n");
    let endpoint = format!("unix://{}/none.sock", run.temp().display());
    let outcome = run.input("engine", endpoint).run();
    outcome.failed(4, "engine-unavailable");
    insta::assert_snapshot!(outcome.report());
}

#[test]
fn an_engine_that_is_too_old_is_named_with_its_version() {
    let run = Landfall::new("build").event("push", &pushed()).file("Dockerfile", "FROM scratch\n");
    let socket = run.temp().join("old.sock");
    answer_as_engine(&socket, "19.03.15", "1.40");
    let outcome = run.env("DOCKER_HOST", format!("unix://{}", socket.display())).run();
    outcome.failed(2, "engine-too-old");
    insta::assert_snapshot!(error(&outcome));
}

/// An engine that knows its version and nothing else.
fn answer_as_engine(socket: &Path, version: &str, api: &str) {
    let body =
        json!({ "Version": version, "ApiVersion": api, "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64" });
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // The request fits into one read: it has no body.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
}

#[tokio::test]
async fn a_signal_ends_the_run_as_cancelled() {
    for signal in ["TERM", "INT"] {
        let world = World::start().await;
        world.state().github.repository("acme/app").commit("main", &[("Dockerfile", "FROM scratch\n")]);
        world.fault(Fault::on(Skin::Github).hold("never"));
        let running = Landfall::new("build")
            .envs(world.github_env())
            .event("push", &pushed())
            .input("source", "acme/app@main")
            .start();
        while world.state().faults[0].struck() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        running.signal(signal);
        let outcome = running.wait();
        outcome.failed(130, "cancelled");
        assert_eq!(error(&outcome), "Cancelled: the run was cancelled");
        world.finish();
    }
}

#[test]
fn the_post_stage_does_no_harm() {
    let failing = tags().inputs(&[("timeout", "soon"), ("imgae", "x")]);
    for run in [tags(), failing, Landfall::new("tagz")] {
        let post = run.run().post().run();
        assert_eq!(post.code, Some(0), "{}", post.report());
        post.proper();
        assert!(post.log.annotations.is_empty(), "{}", post.report());
        assert_eq!(post.outputs, []);
        assert_eq!(post.summary, "");
    }
}

#[test]
fn help_is_for_people() {
    let show = |arguments: &[&str]| {
        let outcome = Landfall::new("tags").laptop(arguments).run();
        assert_eq!(outcome.code, Some(0), "{}", outcome.report());
        outcome.raw
    };
    insta::assert_snapshot!("help", show(&["--help"]));
    insta::assert_snapshot!("help_of_tags", show(&["tags", "--help"]));
    assert_eq!(show(&["help"]), show(&["--help"]));
    assert_eq!(show(&["help", "tags"]), show(&["tags", "--help"]));
    assert_eq!(show(&["--version"]), concat!("landfall ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn everything_can_be_said_with_flags() {
    let outcome = Landfall::new("tags")
        .laptop(&[
            "tags",
            "--image=ghcr.io/acme/app",
            "--sha",
            SHA,
            "--ref",
            "refs/tags/v1.2.0",
            "--dry-run=false",
            "--version_file",
            "VERSION",
        ])
        .file("VERSION", "1.2.0\n")
        .run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.report());
    insta::assert_snapshot!(outcome.normalised(&outcome.raw));
    let dry = Landfall::new("tags")
        .laptop(&["tags", "--dry-run", "--image=ghcr.io/acme/app", "--sha", SHA, "--ref=refs/heads/main"])
        .run();
    assert!(dry.raw.contains("dry run"), "{}", dry.raw);
}

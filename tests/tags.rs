//! `tags` as the runner runs it: the real binary, a scrubbed environment, an event file.
#![expect(clippy::unwrap_used, reason = "a test helper that cannot go on must panic")]

mod support;
#[path = "tags/workflow_run.rs"]
mod workflow_run;
mod world;

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

const SHA: &str = "abc1234567890abcdef1234567890abcdef12345";
const MERGE: &str = "2222222222222222222222222222222222222222";

/// One step under construction.
struct Step {
    folder: TempDir,
    variables: BTreeMap<String, String>,
    arguments: Vec<String>,
}

/// What a step left.
struct Left {
    code: i32,
    log: String,
    outputs: BTreeMap<String, String>,
    summary: String,
}

impl Step {
    fn of(event: &str, reference: &str, payload: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("event.json"), payload.to_string()).unwrap();
        let variables = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_EVENT_NAME", event.to_owned()),
            ("GITHUB_EVENT_PATH", path("event.json")),
            ("GITHUB_REF", reference.to_owned()),
            ("GITHUB_REPOSITORY", "acme/app".to_owned()),
            ("GITHUB_SHA", MERGE.to_owned()),
            ("GITHUB_WORKSPACE", path("")),
            ("GITHUB_OUTPUT", path("outputs")),
            ("GITHUB_STEP_SUMMARY", path("summary")),
            ("INPUT_COMMAND", "tags".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
        Self { folder, variables, arguments: Vec::new() }
    }

    fn push(branch: &str) -> Self {
        let reference = format!("refs/heads/{branch}");
        Self::of("push", &reference, &push(&reference)).with("GITHUB_SHA", SHA)
    }

    fn tag(tag: &str) -> Self {
        let reference = format!("refs/tags/{tag}");
        Self::of("push", &reference, &push(&reference)).with("GITHUB_SHA", SHA)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    fn input(self, name: &str, value: &str) -> Self {
        self.with(&format!("INPUT_{}", name.to_uppercase()), value)
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn run(self) -> Left {
        let done = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(&self.arguments)
            .env_clear()
            .envs(&self.variables)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        Left {
            code: done.status.code().unwrap(),
            log: without_tokens(&String::from_utf8(done.stdout).unwrap()),
            outputs: parse_outputs(&read("outputs")),
            summary: read("summary"),
        }
    }
}

impl Left {
    fn output(&self, name: &str) -> &str {
        self.outputs.get(name).map(String::as_str).unwrap_or_default()
    }

    fn succeeded(self) -> Self {
        assert_eq!((self.code, self.output("result")), (0, "success"), "{}", self.log);
        self
    }

    /// Log, outputs and summary as one text.
    fn shown(&self) -> String {
        let outputs: Vec<String> = self.outputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!(
            "exit {}\n{}\n--- outputs\n{}\n\n--- summary\n{}",
            self.code,
            self.log,
            outputs.join("\n"),
            self.summary
        )
    }
}

fn push(reference: &str) -> Value {
    json!({
        "ref": reference, "after": SHA, "deleted": false,
        "head_commit": { "id": SHA, "timestamp": "2025-03-01T10:00:00+02:00" },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    })
}

fn pull_request(head_repository: &str) -> Value {
    json!({
        "action": "synchronize", "number": 42,
        "pull_request": {
            "number": 42,
            "head": { "ref": "main", "sha": SHA, "repo": { "full_name": head_repository } },
            "base": { "ref": "main", "sha": MERGE, "repo": { "full_name": "acme/app" } },
        },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    })
}

/// The runner's grammar: `name<<delimiter`, lines, `delimiter`.
fn parse_outputs(text: &str) -> BTreeMap<String, String> {
    let mut outputs = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (name, delimiter) = line.split_once("<<").unwrap();
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
        outputs.insert(name.to_owned(), value.join("\n"));
    }
    outputs
}

/// Random tokens (32 hexadecimal digits) as `<token>`.
fn without_tokens(text: &str) -> String {
    let hex = |c: char| c.is_ascii_hexdigit();
    let word = |word: &str| {
        if word.len() == 32 && word.chars().all(hex) { "<token>".to_owned() } else { word.to_owned() }
    };
    text.split_inclusive(|c: char| !hex(c))
        .map(|part| match part.char_indices().last().filter(|(_, c)| !hex(*c)) {
            Some((at, c)) => format!("{}{c}", word(&part[..at])),
            None => word(part),
        })
        .collect()
}

#[test]
fn a_pushed_branch_is_named_shown_and_summed_up() {
    let left = Step::push("feature/Add_New-Feature")
        .input("image", "ghcr.io/Acme/app\nlocalhost:5000/app")
        .input("labels", "org.opencontainers.image.title=The App\ncom.acme.team=a=b")
        .file("package.json", r#"{"version": "1.4.0"}"#)
        .run()
        .succeeded();
    insta::assert_snapshot!(left.shown());
}

#[test]
fn a_pull_request_is_named_after_its_head_wherever_that_is() {
    for head in ["acme/app", "eve/app"] {
        let left = Step::of("pull_request", "refs/pull/42/merge", &pull_request(head)).run().succeeded();
        assert_eq!(left.output("tags"), "pr-42-abc1234", "a head called main is not our main");
        assert_eq!((left.output("sha"), left.output("short_sha")), (SHA, "abc1234"));
        assert_eq!((left.output("image"), left.output("slug")), ("", "main"));
    }
}

#[test]
fn version_tags_name_versions() {
    let image = |tag: &str| Step::tag(tag).input("image", "ghcr.io/acme/app").run().succeeded();
    let left = image("v1.4.2");
    assert_eq!(left.output("tags"), "ghcr.io/acme/app:v1.4.2\nghcr.io/acme/app:1.4");
    assert_eq!((left.output("image"), left.output("version")), ("ghcr.io/acme/app:v1.4.2", "1.4.2"));
    assert!(left.output("labels").contains("org.opencontainers.image.version=1.4.2\n"));
    let left = image("v1.4.2-rc.1");
    assert_eq!(left.output("tags"), "ghcr.io/acme/app:v1.4.2-rc.1");
    assert!(left.log.contains("'{major}.{minor}' is left out because the tag is a prerelease"), "{}", left.log);
}

#[test]
fn a_schedule_with_almost_no_payload_is_named_after_the_day() {
    let step = || Step::of("schedule", "refs/heads/main", &json!({ "schedule": "0 3 * * *" }));
    let left = step().run().succeeded();
    let day = left.output("tag").strip_prefix("nightly-").expect("nightly");
    assert!(day.parse::<jiff::civil::Date>().is_ok(), "{day}");
    let left = step().input("rules", "default_branch: latest, sha-{sha}").run().succeeded();
    assert_eq!(left.output("tags"), format!("latest\nsha-{MERGE}"));
    assert_eq!(left.output("tag"), format!("sha-{MERGE}"));
}

const CONFIG: &str =
    "tags:\n  rules:\n    - 'always: {version}-{branch}'\n  keep: '._'\n  version_file: deploy/VERSION\n";

#[test]
fn the_config_decides_unless_an_input_does() {
    let step = || {
        Step::push("Release/1.2_x")
            .file(".github/landfall.yml", CONFIG)
            .file("deploy/VERSION", "v9.0.0\n")
            .file("own.toml", "[project]\nversion = \"1.0rc1\"\n")
    };
    assert_eq!(step().run().succeeded().output("tag"), "9.0.0-release-1.2_x");
    let left =
        step().input("rules", "branch: {env}-{version}").input("version_file", "own.toml").input("environment", "");
    assert_eq!(left.run().output("reason"), "no-value");
    let left = step().input("rules", "branch: v{version}").input("version-file", "own.toml").run().succeeded();
    assert_eq!(left.output("tag"), "v1.0rc1");
}

#[test]
fn inputs_stand_in_for_an_event_that_says_nothing() {
    let comment = json!({ "issue": { "number": 7, "pull_request": { "url": "x" } } });
    let step = || Step::of("issue_comment", "refs/heads/main", &comment);
    let left = step().run();
    assert_eq!((left.code, left.output("reason")), (2, "invalid-input"));
    assert!(left.log.contains("sha is not set, and the event does not name the commit under test"), "{}", left.log);
    assert_eq!(step().input("sha", SHA).run().succeeded().output("tag"), "pr-7-abc1234");
    let left = step().input("sha", SHA).input("ref", "refs/tags/v2.0.0").run().succeeded();
    assert_eq!(left.output("tags"), "v2.0.0\n2.0");
    let left = step().input("sha", SHA).input("pull_request", "9").run().succeeded();
    assert_eq!(left.output("tag"), "pr-9-abc1234");
}

#[test]
fn everything_wrong_is_said_at_once() {
    let left = Step::of("workflow_run", "refs/heads/main", &json!({}))
        .input("image", "ghcr.io/acme/app:v1, https://ghcr.io/acme/app, ghcr.io/acme/fine")
        .input("rules", "latest\nbranch: ok\ntag: {nope}")
        .input("sha", "abc1234")
        .input("version_file", "missing.json")
        .file(".github/landfall.yml", "tags: {keep: '/'}")
        .run();
    insta::assert_snapshot!(left.shown());
}

#[test]
fn failures_say_what_to_do() {
    let cases = [
        Step::push("日本"),
        Step::tag("nightly"),
        Step::push("x").input("rules", "tag: v{version}"),
        Step::push("x").input("rules", &format!("always: {}", "x".repeat(129))),
        Step::tag("v1.0.0-rc.1").input("rules", "tag: latest"),
    ];
    let shown = cases.map(|step| {
        let left = step.run();
        format!("exit {} {}\n{}", left.code, left.output("reason"), left.log)
    });
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_deleting_push_names_nothing() {
    let zeros = "0".repeat(40);
    let payload = json!({ "ref": "refs/heads/gone", "after": zeros, "deleted": true, "head_commit": null });
    let left = Step::of("push", "refs/heads/main", &payload).run();
    assert_eq!((left.code, left.output("reason")), (2, "ref-deleted"));
    assert_eq!(left.outputs.len(), 2, "result and reason only: {:?}", left.outputs);
}

#[test]
fn an_unreadable_event_is_an_input_error() {
    let step = Step::push("x").file("event.json", "{");
    let left = step.run();
    assert_eq!((left.code, left.output("reason")), (2, "event-unreadable"));
}

#[test]
fn a_dry_run_shows_the_names_and_sets_none() {
    let left = Step::push("x").input("dry_run", "true").run();
    assert_eq!((left.code, left.output("result"), left.output("reason")), (0, "skipped", "dry-run"));
    assert!(left.log.contains("x-abc1234"), "{}", left.log);
    assert_eq!(left.output("tags"), "");
}

#[test]
fn the_command_line_does_what_inputs_do() {
    let mut step = Step::push("x").without("INPUT_COMMAND").without("GITHUB_ACTIONS");
    step.arguments = ["tags", "--image", "ghcr.io/acme/app", "--rules", "always: {sha7}"].map(str::to_owned).to_vec();
    assert_eq!(step.run().succeeded().output("image"), "ghcr.io/acme/app:abc1234");
}

#[test]
fn a_hostile_branch_gives_no_orders() {
    let payload = push("refs/heads/x\n::error::owned\n::set-output name=tag::owned");
    let left = Step::of("push", "refs/heads/x", &payload).run().succeeded();
    let mut stopped = false;
    for line in left.log.lines() {
        match line.trim_start() {
            "::stop-commands::<token>" => stopped = true,
            "::<token>::" => stopped = false,
            line => {
                let ours = line.starts_with("::group::") || line == "::endgroup::";
                assert!(stopped || ours || !(line.starts_with("::") || line.contains("##[")), "{line}");
            }
        }
    }
    assert!(!stopped);
    assert_eq!(left.output("tag"), "x-error-owned-set-output-name-tag-owned-2222222");
}

#[test]
fn the_runners_repository_may_live_on_a_server_of_ones_own() {
    let left = Step::push("x").with("GITHUB_SERVER_URL", "https://git.example/").run().succeeded();
    assert!(left.output("labels").contains("org.opencontainers.image.source=https://git.example/acme/app\n"));
    let json: Value = serde_json::from_str(left.output("json")).unwrap();
    assert_eq!(json["labels"]["org.opencontainers.image.created"], "2025-03-01T08:00:00Z");
    assert_eq!(json["names"], json!(["x-abc1234"]));
}

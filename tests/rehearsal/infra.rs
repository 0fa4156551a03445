//! Purpose: infrastructure by pull request: routes, a matrix, one dashboard.

use crate::event::{Event, PullRequest, REPOSITORY};
use crate::hosts::{Done, Host, checkout, fails, passes};
use crate::stage::Stage;
use crate::walk::{Stand, Walk, Walked};
use crate::world::clock::Moment;

const WORKFLOW: &str = "examples/infra/.github/workflows/infra.yml";
const SAID: i64 = 1_767_268_800;

struct Infra {
    stage: Stage,
    main: String,
    head: String,
    merge: String,
}

impl Infra {
    fn new() -> Self {
        let stage = Stage::new();
        let main = stage.commit("main", "examples/infra", &[("data/main.tf", "# data\n")]);
        let head = stage.commit("topic", "examples/infra", &[("data/main.tf", "# more data\n")]);
        let merge = stage.pull(7, "topic", &head, "main");
        let mut state = stage.world.state();
        let repository = state.github.repository(REPOSITORY);
        repository.pushed("topic", &head, Moment::from_second(SAID - 60));
        repository.role("octocat", "maintain").role("boss", "admin").role("helper", "triage");
        drop(state);
        Self { stage, main, head, merge }
    }

    fn pull_request(&self) -> Event {
        Event::pull_request(&PullRequest {
            number: 7,
            head: "topic",
            head_sha: &self.head,
            head_repository: REPOSITORY,
            base: "main",
            merge_sha: &self.merge,
        })
    }

    fn comment(&self, author: &str, body: &str) -> Event {
        let id = self.stage.world.state().github.repository(REPOSITORY).comment(7, author, body);
        Event::comment(&self.main, 7, id, author, body, &Moment::from_second(SAID).to_string())
    }

    fn walk<'a>(&'a self, event: Event, terraform: impl Fn(&mut Host<'_>) -> Done + 'a) -> Walked {
        let walk: Walk<'a> = self.stage.walk(WORKFLOW, event);
        let script: Stand<'a> = Box::new(terraform);
        let walk = ["route", "terraform", "e2e"]
            .into_iter()
            .fold(walk, |walk, job| walk.host(job, "actions/checkout", checkout));
        walk.host("terraform", "./ci/terraform.sh", script).host("e2e", "./ci/e2e.sh", passes).go()
    }

    fn dashboards(&self) -> Vec<String> {
        let said = self.stage.world.state().github.repository(REPOSITORY).said(7, "github-actions[bot]");
        said.into_iter().filter(|comment| comment.contains("<!-- infra-dashboard:")).collect()
    }

    fn finish(self) {
        self.stage.world.explain_writes();
        self.stage.finish();
    }
}

/// The layer's own work, which fails for one layer.
fn one_fails(host: &mut Host<'_>) -> Done {
    host.says = format!("{} {}", host.env("COMMAND"), host.env("LAYER"));
    if host.env("LAYER") == "platform" { fails(host) } else { Ok(()) }
}

/// It goes well.
fn all_pass(host: &mut Host<'_>) -> Done {
    host.says = format!("{} {}", host.env("COMMAND"), host.env("LAYER"));
    Ok(())
}

#[test]
fn infra_plans_a_pull_request_and_shows_every_layer() {
    let infra = Infra::new();
    let walked = infra.walk(infra.pull_request(), one_fails);
    walked.ended(&[("route", "success"), ("terraform", "failure"), ("e2e", "skipped")]);
    let dashboards = infra.dashboards();
    assert_eq!(dashboards.len(), 1, "{dashboards:?}");
    insta::assert_snapshot!(format!("{}\n\nThe comment:\n{}", walked.told(), clockless(&walked.named(&dashboards[0]))));
    infra.finish();
}

/// A dashboard's table, without its hours.
fn clockless(text: &str) -> String {
    let table = text.split("<details>").next().unwrap();
    regex::Regex::new(r"\b\d\d:\d\d\b").unwrap().replace_all(table, "<time>").into_owned()
}

#[test]
fn infra_applies_what_somebody_who_may_asks_for_and_tests_it() {
    let infra = Infra::new();
    let walked = infra.walk(infra.comment("octocat", "/apply data"), all_pass);
    walked.ended(&[("route", "success"), ("terraform", "success"), ("e2e", "success")]);
    let dashboards = infra.dashboards();
    insta::assert_snapshot!(format!("{}\n\nThe comment:\n{}", walked.told(), clockless(&walked.named(&dashboards[0]))));
    assert_eq!(dashboards.len(), 1, "{dashboards:?}");
    infra.finish();
}

#[test]
fn infra_refuses_who_may_not_and_what_is_not_confirmed() {
    let infra = Infra::new();
    for (author, body, reason) in
        [("helper", "/apply", "permission-denied"), ("boss", "/bootstrap apply", "not-confirmed")]
    {
        let walked = infra.walk(infra.comment(author, body), all_pass);
        walked.ended(&[("route", "failure"), ("terraform", "skipped"), ("e2e", "skipped")]);
        assert_eq!(walked.output("route", "route", "reason"), reason);
    }
    // A remark is no command and costs no runner.
    infra
        .walk(infra.comment("helper", "looks good"), all_pass)
        .ended(&[("route", "skipped"), ("terraform", "skipped")]);
    let confirmed = infra.walk(infra.comment("boss", "/bootstrap apply BOOTSTRAP"), all_pass);
    confirmed.ended(&[("route", "success"), ("terraform", "success")]);
    assert!(infra.dashboards()[0].contains("Apply: bootstrap"), "{:?}", infra.dashboards());
    infra.finish();
}

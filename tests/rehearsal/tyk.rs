//! Purpose: a gateway's pull request that needs an image of its dashboard.

use crate::event::{Event, PullRequest, REPOSITORY};
use crate::hosts::{Done, Host, checkout};
use crate::stage::Stage;
use crate::walk::Walk;
use crate::world::github::Access;
use crate::world::{Fault, Skin};

/// The pull request of the dashboard's own branch of the same name.
const OWN_PULL: u64 = 5;

const WORKFLOW: &str = "examples/tyk/.github/workflows/api-tests.yml";
const DASHBOARD: &str = "TykTechnologies/tyk-analytics";
const IMAGE: &str = "tyk-analytics";
const ORG_TOKEN: &str = "ghp_organization-token";
const GO_MOD: &str =
    "module github.com/TykTechnologies/tyk-analytics\n\ngo 1.24\n\nrequire github.com/acme/app v1.4.0\n";

/// The gateway with a pull request, the dashboard, its image repository and the role.
struct Gateway {
    stage: Stage,
    head: String,
    merge: String,
}

impl Gateway {
    fn new() -> Self {
        let stage = Stage::new();
        stage.registry("123456789012.dkr.ecr.eu-central-1.amazonaws.com");
        // Here, the gateway is `acme/app`.
        stage.rename("github.com/TykTechnologies/tyk@", &format!("github.com/{REPOSITORY}@"));
        stage.role("ecr_rw_tyk");
        stage.world.state().github.repository(REPOSITORY).default_branch = "master".into();
        stage.commit("master", "examples/tyk", &[("go.mod", "module github.com/acme/app\n")]);
        let head = stage.commit("feature/rate-limits", "examples/tyk", &[("apidef/limits.go", "package apidef\n")]);
        let merge = stage.pull(42, "feature/rate-limits", &head, "master");
        {
            let mut state = stage.world.state();
            state.github.grant(ORG_TOKEN, DASHBOARD, Access::Read);
            let dashboard = state.github.repository(DASHBOARD);
            dashboard.private = true;
            dashboard.default_branch = "master".into();
            dashboard.commit(
                "master",
                &[("go.mod", GO_MOD), ("Dockerfile", "FROM scratch\nCOPY go.mod /\nENTRYPOINT [\"/dashboard\"]\n")],
            );
            state.images.repository(IMAGE);
        }
        Self { stage, head, merge }
    }

    fn event(&self) -> Event {
        Event::pull_request(&PullRequest {
            number: 42,
            head: "feature/rate-limits",
            head_sha: &self.head,
            head_repository: REPOSITORY,
            base: "master",
            merge_sha: &self.merge,
        })
    }

    fn walk(&self) -> Walk<'_> {
        self.prepared(self.stage.walk(WORKFLOW, self.event()))
    }

    /// What the walk needs wherever its text comes from.
    fn prepared<'a>(&'a self, walk: Walk<'a>) -> Walk<'a> {
        walk.secret("ORG_GH_TOKEN", ORG_TOKEN)
            .given("resolve", "provider", "ecr") // a registry on the loopback does not look like ECR
            .host("api-tests", "actions/checkout", checkout)
            .host("api-tests", "./ci/api-tests.sh", tests)
    }
}

/// The gateway's own tests: they tell which image they would test with.
fn tests(host: &mut Host<'_>) -> Done {
    host.says = format!("tests with {}", host.env("DASHBOARD_IMAGE"));
    Ok(())
}

#[test]
fn tyk_builds_the_dashboard_against_the_pull_request() {
    let gateway = Gateway::new();
    let walked = gateway.walk().go();
    walked.ended(&[("dashboard", "success"), ("api-tests", "success")]);
    insta::assert_snapshot!(walked.told());
    let tag = format!("sha-{}", gateway.head);
    assert_eq!(walked.output("dashboard", "resolve", "strategy"), "build-required");
    assert_eq!(gateway.stage.tags(IMAGE), std::slice::from_ref(&tag));
    let labels = gateway.stage.image_config(IMAGE, &tag)["config"]["Labels"].clone();
    assert!(labels["org.opencontainers.image.source"].as_str().unwrap().ends_with(DASHBOARD), "{labels}");
    gateway.stage.world.explain_writes();
    // The same pull request again: the image is there now, and nothing is built.
    let again = gateway.walk().go();
    again.ended(&[("dashboard", "success"), ("api-tests", "success")]);
    assert_eq!(again.output("dashboard", "resolve", "strategy"), "existing-image");
    assert!(gateway.stage.world.take_writes().is_empty());
    gateway.stage.finish();
}

/// As the example's README says: the config checked out, one permission more, `ladder` in place of three inputs.
fn with_the_ladder() -> String {
    let text = std::fs::read_to_string(format!("{}/{WORKFLOW}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let checkout = "      - uses: actions/checkout@v6\n      - id: resolve\n";
    let text = text.replacen("      - id: resolve\n", checkout, 1);
    let text = text.replacen("      id-token: write", "      pull-requests: read\n      id-token: write", 1);
    let inputs = "          registry: ${{ env.ECR }}\n          repository: tyk-analytics\n          companion: TykTechnologies/tyk-analytics\n";
    assert!(text.contains(inputs), "the inputs that the ladder replaces have changed");
    text.replacen(inputs, "          ladder: dashboard\n", 1)
}

#[test]
fn tyk_decides_by_its_own_table_as_well() {
    let gateway = Gateway::new();
    let stage = &gateway.stage;
    let walk = || {
        let walk = Walk::of_text(stage, "api-tests.yml with the ladder", &with_the_ladder(), gateway.event(), 1001);
        gateway.prepared(walk.host("dashboard", "actions/checkout", checkout)).go()
    };
    // Row 7: a change that the dashboard compiles in. The image's name is the pull request's.
    let first = walk();
    first.ended(&[("dashboard", "success"), ("api-tests", "success")]);
    assert_eq!(first.output("dashboard", "resolve", "strategy"), "build-required", "{}", first.log());
    assert_eq!(stage.tags(IMAGE), ["tyk-42"]);
    // Row 5: the dashboard has a branch of the same name, and an image of its pull request.
    {
        let mut state = stage.world.state();
        let files = [("go.mod", GO_MOD), ("Dockerfile", "FROM scratch\nCOPY go.mod /\n")];
        let sha = state.github.repository(DASHBOARD).commit("feature/rate-limits", &files);
        let pull = crate::world::github::Pull {
            state: "open".into(),
            head_ref: "feature/rate-limits".into(),
            head_sha: sha,
            head_repository: Some(DASHBOARD.into()),
            base_ref: "master".into(),
            ..Default::default()
        };
        state.github.repository(DASHBOARD).pulls.insert(OWN_PULL, pull);
        state.images.image(&format!("{IMAGE}:pr-{OWN_PULL}"));
    }
    let second = walk();
    second.ended(&[("dashboard", "success"), ("api-tests", "success")]);
    assert_eq!(second.output("dashboard", "resolve", "strategy"), "analytics-pr-image");
    insta::assert_snapshot!([&first, &second].map(crate::walk::Walked::told).join("\n"));
    stage.world.explain_writes();
    gateway.stage.finish();
}

#[test]
fn tyk_does_not_guess_when_github_does_not_answer() {
    let gateway = Gateway::new();
    gateway.stage.world.fault(
        Fault::on(Skin::Github)
            .path("*/tyk-analytics/*")
            .from(1)
            .status(403)
            .error("", "Resource protected by organization SAML enforcement"),
    );
    let walked = gateway.walk().go();
    walked.ended(&[("dashboard", "failure"), ("api-tests", "skipped")]);
    insta::assert_snapshot!(walked.told());
    gateway.stage.finish();
}

//! Purpose: each existence question with every failure there is: never "absent", always the contract's exit code.

use std::time::Duration;

use super::support::Landfall;
use super::world::{Fault, Skin, World};
use super::{FEATURE, branches, error, failing, pull_request};

/// How a question fails, and what has to come of it.
struct Case {
    name: &'static str,
    fault: fn(Fault) -> Fault,
    code: i32,
    /// What stands behind the upstream's name.
    reason: &'static str,
    tries: Tries,
}

#[derive(PartialEq, Eq)]
enum Tries {
    One,
    Several,
}

const CASES: [Case; 7] = [
    Case { name: "500", fault: |fault| fault.status(500), code: 4, reason: "unavailable", tries: Tries::Several },
    Case { name: "reset", fault: Fault::reset, code: 4, reason: "unavailable", tries: Tries::Several },
    Case { name: "401", fault: |fault| fault.status(401), code: 5, reason: "unauthenticated", tries: Tries::One },
    Case { name: "403", fault: |fault| fault.status(403), code: 5, reason: "forbidden", tries: Tries::One },
    Case {
        name: "429 for an hour",
        fault: |fault| fault.status(429).retry_after(3600),
        code: 4,
        reason: "rate-limited",
        tries: Tries::One,
    },
    Case { name: "a proxy's page", fault: Fault::not_json, code: 4, reason: "unavailable", tries: Tries::Several },
    Case {
        name: "a proxy's 404",
        fault: |fault| fault.status(404).content_type("text/html").body("<html>404</html>"),
        code: 4,
        reason: "unavailable",
        tries: Tries::Several,
    },
];

/// One existence question: where it is asked, and the step that asks it.
#[derive(Clone, Copy)]
struct Question {
    upstream: &'static str,
    skin: Skin,
    /// Glob over path or operation.
    asked: &'static str,
    step: fn(&World) -> Landfall,
    /// A case that means something else here.
    without: &'static str,
}

impl Question {
    fn fault(&self) -> Fault {
        let fault = Fault::on(self.skin);
        if self.skin == Skin::Ecr { fault.target(self.asked) } else { fault.path(self.asked) }
    }

    fn count(&self, world: &World) -> usize {
        let calls = world.calls(self.skin);
        calls.iter().filter(|call| call.contains(self.asked.trim_matches('*'))).count()
    }

    /// All cases at the same time: most of their time is spent waiting for the next try.
    fn is_never_guessed(self) {
        std::thread::scope(|scope| {
            for case in CASES.iter().filter(|case| case.name != self.without) {
                scope.spawn(move || self.fails_as(case));
            }
            scope.spawn(move || self.ends_in_time());
            scope.spawn(move || self.outlasts_a_burst());
        });
    }

    fn fails_as(self, case: &Case) {
        let world = start();
        world.fault((case.fault)(self.fault()));
        let outcome = failing((self.step)(&world), case.code, &format!("{}-{}", self.upstream, case.reason));
        assert!(!outcome.report().contains("absent"), "{}: {}", case.name, outcome.report());
        assert!(!outcome.has_output("strategy") && !outcome.has_output("image"), "{}", case.name);
        let tries = if self.count(&world) > 1 { Tries::Several } else { Tries::One };
        assert!(tries == case.tries, "{}: asked {} times", case.name, self.count(&world));
        world.finish();
    }

    fn ends_in_time(self) {
        let world = start();
        world.fault(self.fault().hold("silence"));
        let outcome = failing((self.step)(&world).input("timeout", "2s"), 1, "timeout");
        assert!(!outcome.report().contains("absent"), "{}", outcome.report());
        assert!(outcome.elapsed < Duration::from_secs(30));
        world.release("silence");
        world.finish();
    }

    fn outlasts_a_burst(self) {
        let world = start();
        world.fault(self.fault().times(2).status(503));
        world.fault(self.fault().nth(3).status(429).retry_after(1));
        let outcome = super::done((self.step)(&world));
        assert_eq!(outcome.output("strategy"), "build-from-branch", "{}", outcome.report());
        world.finish();
    }
}

/// A world in which everything that is asked about exists or is not asked about first.
fn start() -> World {
    let world = super::start();
    branches(&world, &[FEATURE]);
    world
}

#[test]
fn a_branch_that_github_does_not_tell_about_is_never_absent() {
    let asked = "*/git/ref/heads/feature/*";
    Question { upstream: "github", skin: Skin::Github, asked, step: pull_request, without: "" }.is_never_guessed();
}

#[test]
fn an_image_that_the_registry_does_not_tell_about_is_never_absent() {
    let asked = "/v2/dashboard/manifests/*";
    Question { upstream: "registry", skin: Skin::Registry, asked, step: pull_request, without: "" }.is_never_guessed();
}

#[test]
fn an_image_that_ecr_does_not_tell_about_is_never_absent() {
    let step = |world: &World| pull_request(world).envs(world.aws_env()).input("provider", "ecr");
    // AWS answers 404 to operations that it does not know; that is not this case.
    let without = "a proxy's 404";
    Question { upstream: "aws", skin: Skin::Ecr, asked: "DescribeImages", step, without }.is_never_guessed();
}

#[test]
fn a_repository_that_github_does_not_tell_about_is_an_error_too() {
    let world = start();
    world.fault(Fault::on(Skin::Github).path("/repos/acme/dashboard").status(403));
    let outcome = failing(pull_request(&world), 5, "github-forbidden");
    assert!(error(&outcome).contains("companion_token"), "{}", error(&outcome));
    world.finish();
}

#[test]
fn githubs_rate_limit_says_when_it_ends() {
    let world = start();
    world.state().github.rate.remaining = 0;
    let outcome = failing(pull_request(&world), 4, "github-rate-limited");
    assert!(error(&outcome).contains("Try again after "), "{}", error(&outcome));
    world.finish();
}

#[test]
fn a_registry_that_is_not_there_is_unavailable() {
    let world = start();
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = failing(pull_request(&world).input("registry", unused.to_string()), 4, "registry-unavailable");
    assert!(outcome.raw.contains("Docker Engine"), "{}", outcome.raw);
    world.finish();
}

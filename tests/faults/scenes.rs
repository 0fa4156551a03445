//! Purpose: one healthy run of each command, asking everybody whom that command can ask.

use serde_json::{Value, json};

use crate::support::{Landfall, SHA};
use crate::world::artifacts::{Artifact, runtime_token};
use crate::world::clock::Moment;
use crate::world::ecs::Script;
use crate::world::github::actions::{Run, Script as WorkflowScript};
use crate::world::github::{Access, Pull, TOKEN};
use crate::world::http::Door;
use crate::world::images::Auth;
use crate::world::scans::Scan;
use crate::world::ssm::Parameter;
use crate::world::sts::Role;
use crate::world::{After, World};

/// A world and a step in it.
pub(crate) struct Set {
    pub(crate) world: World,
    pub(crate) step: Landfall,
}

/// A way to use a command.
pub(crate) struct Scene {
    /// As the table calls it.
    pub(crate) name: &'static str,
    pub(crate) make: fn() -> Set,
    /// Writes that a failure may cause beside those of the healthy run, by the way they begin.
    pub(crate) recovery: &'static [&'static str],
}

const fn scene(name: &'static str, make: fn() -> Set) -> Scene {
    Scene { name, make, recovery: &[] }
}

/// By command: the first word of the name.
pub(crate) const SCENES: &[Scene] = &[
    scene("config", config),
    scene("dashboard", dashboard),
    Scene { recovery: &["ecs UpdateService prod/web web:1"], ..scene("deploy", deploy) },
    scene("doctor", doctor),
    scene("login", login),
    scene("merge", merge),
    scene("metrics", metrics),
    scene("notify", notify),
    scene("prune of GHCR", prune_ghcr),
    scene("prune of ECR", prune_ecr),
    scene("pull of an artifact", pull_artifact),
    scene("pull of another run's artifact", pull_foreign),
    scene("report", report),
    scene("resolve", resolve),
    Scene {
        recovery: &["github dispatch acme/dashboard build.yml at main"],
        ..scene("resolve by dispatch", resolve_by_dispatch)
    },
    scene("resolve on ECR", resolve_ecr),
    Scene { recovery: &["ecs UpdateService prod/web web:3"], ..scene("rollback", rollback) },
    Scene { recovery: &["github react", "github create comment"], ..scene("route", route) },
    scene("scan by ECR", scan_ecr),
    scene("tags", tags),
];

/// The password of the world's registry.
pub(crate) const REGISTRY_PASSWORD: &str = "world-registry-password";
const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";
const COMPANION: &str = "acme/dashboard";
const COMPANION_TOKEN: &str = "ghp_companion";
const PULL: u64 = 7;

fn pull_request(world: &World) -> Value {
    let mut state = world.state();
    let repository = state.github.repository("acme/app");
    repository.commit("main", &[("README.md", "x")]);
    let head = repository.commit("feature", &[("README.md", "y")]);
    let pull = Pull {
        state: "open".into(),
        head_ref: "feature".into(),
        head_sha: head.clone(),
        head_repository: Some("acme/app".into()),
        base_ref: "main".into(),
        ..Pull::default()
    };
    repository.pulls.insert(PULL, pull);
    let side = |branch: &str, sha: &str| json!({ "ref": branch, "sha": sha, "repo": { "full_name": "acme/app" } });
    json!({
        "action": "synchronize", "number": PULL,
        "pull_request": { "number": PULL, "head": side("feature", &head), "base": side("main", SHA) },
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    })
}

fn with_registry_login(world: &World, step: Landfall) -> Landfall {
    world.state().images.auth = Auth::Bearer { username: "octocat".into(), password: REGISTRY_PASSWORD.into() };
    step.inputs(&[("registry_username", "octocat"), ("registry_password", REGISTRY_PASSWORD)])
}

fn with_role(world: &World, step: Landfall) -> Landfall {
    let subject = world.state().oidc.subject.clone();
    world.state().aws.roles.insert(ROLE.into(), Role::for_subject(&subject));
    step.envs(world.oidc_env()).input("role_to_assume", ROLE)
}

fn parameter(world: &World, name: &str, value: &str) {
    let parameter = Parameter { value: value.into(), kind: "SecureString".into(), version: 1 };
    world.state().parameters.0.insert(name.into(), parameter);
}

fn config() -> Set {
    let world = World::start_blocking();
    parameter(&world, "/web/db", "hunter22");
    let file = "environments: {production: {branches: [main], aws_region: eu-central-1, db: 'ssm:/web/db'}}";
    let step = with_role(&world, Landfall::new("config").file(".github/landfall.yml", file));
    Set { world, step }
}

fn dashboard() -> Set {
    let world = World::start_blocking();
    let event = pull_request(&world);
    let step = Landfall::new("dashboard")
        .envs(world.github_env())
        .token(TOKEN)
        .event("pull_request", &event)
        .inputs(&[("operation", "update"), ("stage", "plan"), ("status", "success")]);
    Set { world, step }
}

fn definition(image: &str) -> Value {
    json!({
        "family": "web", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "containerDefinitions": [{
            "name": "web", "image": image,
            "logConfiguration": { "logDriver": "awslogs", "options": {
                "awslogs-group": "/ecs/web", "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "web" } },
        }],
    })
}

/// Service `web` of cluster `prod`, deployed as often as there are images.
fn service(world: &World, images: &[&str]) {
    let mut state = world.state();
    state.logs.group("/ecs/web");
    for (number, image) in images.iter().enumerate() {
        let arn = state.task_definition("web", &definition(image));
        if number == 0 {
            state.service_of("prod", "web", &arn, 1);
        } else {
            state.deployed("prod", "web", &arn);
        }
    }
}

fn ecs_step(world: &World, command: &str) -> Landfall {
    with_role(world, Landfall::new(command)).inputs(&[
        ("cluster", "prod"),
        ("service", "web"),
        ("poll_interval", "1s"),
        ("health_url", &world.health_url("web")),
        ("health_timeout", "20s"),
    ])
}

fn deploy() -> Set {
    let world = World::start_blocking();
    service(&world, &["acme/web:1"]);
    let digest = world.state().images.image("web:2");
    world.state().ecs.script("web", "*", Script::healthy(After::Polls(2)));
    let host = crate::world::ecr::host(&world.state());
    let step = ecs_step(&world, "deploy").inputs(&[
        ("image", &format!("{host}/web@{digest}")),
        ("migrate", "migrate up"),
        ("keep_revisions", "5"),
        ("ssm_parameters", "/web/image={image}"),
        ("timeout", "3m"),
    ]);
    world.explain_writes();
    Set { world, step }
}

fn rollback() -> Set {
    let world = World::start_blocking();
    service(&world, &["acme/web:1", "acme/web:2", "acme/web:3"]);
    let step = ecs_step(&world, "rollback").inputs(&[("to", "previous"), ("timeout", "3m")]);
    world.explain_writes();
    Set { world, step }
}

fn doctor() -> Set {
    let world = World::start_blocking();
    {
        let mut state = world.state();
        state.github.repository("acme/app").commit("main", &[("README", "app")]);
        state.service("prod", "web", "acme/web:1");
        state.images.image("web:1");
        state.aws.roles.insert(ROLE.into(), Role::for_subject("repo:acme/app:*"));
    }
    parameter(&world, "/web/db", "hunter22");
    world.explain_writes();
    let config = "environments: {production: {branches: [main], aws_account_id: '123456789012', aws_region: eu-central-1, \
                  ecr_repository: web, cluster: prod, service: web, role_to_assume: deploy, db: 'ssm:/web/db'}}";
    let step = Landfall::new("doctor")
        .token(TOKEN)
        .envs(world.github_env())
        .envs(world.oidc_env())
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .file(".github/landfall.yml", config)
        .inputs(&[("for", "deploy, config, dashboard"), ("environment", "production")]);
    Set { world, step }
}

fn login() -> Set {
    let world = World::start_blocking();
    let host = world.registry_host();
    let step = with_role(&world, with_registry_login(&world, Landfall::new("login")));
    Set { step: step.inputs(&[("registries", &format!("ecr, public.ecr.aws, {host}")), ("export", "true")]), world }
}

fn merge() -> Set {
    let world = World::start_blocking();
    // An index stands for its parts.
    let parts = world.state().images.index("acme/app:parts");
    world.explain_writes();
    let name = format!("{}/acme/app", world.registry_host());
    let step = with_registry_login(&world, Landfall::new("merge"))
        .inputs(&[("tags", &format!("{name}:v1")), ("digests", &parts)]);
    Set { world, step }
}

fn metrics() -> Set {
    let world = World::start_blocking();
    {
        let mut state = world.state();
        state.github.repository("acme/app").commit("main", &[("README", "app")]);
        state.images.image("acme/app:v1");
        let actions = state.github.actions("acme/app");
        actions.workflow("ci.yml").name = "CI".into();
        for number in 0..3 {
            let took = std::time::Duration::from_secs(60);
            let start = Moment::from_second(1_750_032_000 + number * 3600);
            let run = Run::ended("push", "main", &format!("{number:040x}"), "success", start, took);
            actions.add(Run { workflow: "ci.yml".into(), ..run });
        }
    }
    world.explain_writes();
    let step = Landfall::new("metrics")
        .token(TOKEN)
        .envs(world.github_env())
        .inputs(&[("since", "36500d"), ("images", &format!("{}/acme/app", world.registry_host()))]);
    Set { world, step }
}

fn notify() -> Set {
    let world = World::start_blocking();
    let step = Landfall::new("notify").inputs(&[
        ("webhook_url", &world.webhook_url("slack")),
        ("format", "slack"),
        ("fail_on_error", "true"),
    ]);
    Set { world, step }
}

const DAY: i64 = 86_400;

/// Two images that stay and two that go.
fn shelf(world: &World) {
    let mut state = world.state();
    state.github.repository("acme/app").commit("main", &[("README.md", "app\n")]);
    state.images.no_delete = true;
    state.images.no_referrers = true;
    for (tag, age) in [("latest", DAY), ("v1", 90 * DAY), ("pr-1", 30 * DAY), ("pr-2", 30 * DAY)] {
        let digest = state.images.image(&format!("acme/app:{tag}"));
        state.age("acme/app", &digest, age);
    }
}

const APPLY: [(&str, &str); 3] = [("operation", "apply"), ("dry_run", "false"), ("max_delete_fraction", "1")];

fn prune_ghcr() -> Set {
    let world = World::start_blocking();
    shelf(&world);
    world.explain_writes();
    let step = Landfall::new("prune").envs(world.github_env()).token(TOKEN).inputs(&APPLY).inputs(&[
        ("image", &format!("{}/acme/app", world.registry_host())),
        ("provider", "ghcr"),
        ("points_per_minute", "1000000"),
        ("timeout", "4m"),
    ]);
    Set { world, step }
}

fn prune_ecr() -> Set {
    let world = World::start_blocking();
    shelf(&world);
    service(&world, &["acme/web:1"]);
    world.explain_writes();
    let host = crate::world::ecr::host(&world.state());
    let step = with_role(&world, Landfall::new("prune"));
    let step = step.inputs(&APPLY).inputs(&[("image", &format!("{host}/acme/app")), ("in_use", "ecs")]);
    Set { world, step }
}

/// The same image in each run: what is loaded into the engine again changes nothing there.
fn pulling(world: &World, run: u64) -> Landfall {
    let tar = crate::images::image_tar(&["landfall-test/faults:1"], None, 10_000);
    world.state().github.repository("acme/app");
    world.state().artifacts.put(run, "image", Artifact::raw("image.tar", &tar));
    Landfall::new("pull")
        .token(TOKEN)
        .envs(world.github_env())
        .env("DOCKER_HOST", crate::engine::variable("DOCKER_HOST"))
        .env("ACTIONS_RESULTS_URL", world.base(Door::Results))
        .env("ACTIONS_RUNTIME_TOKEN", runtime_token())
        .inputs(&[
            ("artifact", "image"),
            ("wait", "1ms"),
            ("local_tag", "landfall-test/faults:local"),
            ("timeout", "6m"),
        ])
}

fn pull_artifact() -> Set {
    let world = World::start_blocking();
    // The registry has none, and is asked first.
    let image = format!("{}/acme/app:absent", world.registry_host());
    world.state().images.repository("acme/app");
    let step = pulling(&world, 1000).inputs(&[("image", &image), ("attempts", "1")]);
    Set { world, step }
}

fn pull_foreign() -> Set {
    let world = World::start_blocking();
    let step = pulling(&world, 7).input("run_id", "7");
    Set { world, step }
}

fn report() -> Set {
    let world = World::start_blocking();
    let event = pull_request(&world);
    let step = Landfall::new("report")
        .envs(world.github_env())
        .token(TOKEN)
        .event("pull_request", &event)
        .file("junit.xml", "<testsuite><testcase name='a' time='0.1'/></testsuite>")
        .inputs(&[("junit", "junit.xml"), ("comment", "always")]);
    Set { world, step }
}

/// A companion whose default branch is `main`, with the pull request's branch.
fn companion(world: &World) -> Value {
    let event = pull_request(world);
    let mut state = world.state();
    let companion = state.github.repository(COMPANION);
    companion.commit("main", &[("go.mod", "module dashboard\n")]);
    companion.commit("feature", &[("go.mod", "module dashboard\n")]);
    state.images.repository("dashboard");
    state.github.grant(COMPANION_TOKEN, COMPANION, Access::Write);
    event
}

fn resolving(world: &World, event: &Value) -> Landfall {
    Landfall::new("resolve")
        .token(TOKEN)
        .envs(world.github_env())
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .event("pull_request", event)
        .inputs(&[("repository", "dashboard"), ("companion", COMPANION), ("companion_token", COMPANION_TOKEN)])
}

fn resolve() -> Set {
    let world = World::start_blocking();
    let event = companion(&world);
    world.state().images.image("dashboard:feature");
    world.explain_writes();
    let step = resolving(&world, &event).input("registry", world.registry_host());
    Set { step: with_registry_login(&world, step), world }
}

fn resolve_ecr() -> Set {
    let world = World::start_blocking();
    let event = companion(&world);
    world.state().images.image("dashboard:feature");
    world.explain_writes();
    let host = crate::world::ecr::host(&world.state());
    let step = with_role(&world, resolving(&world, &event).input("registry", &host));
    Set { world, step }
}

fn resolve_by_dispatch() -> Set {
    let world = World::start_blocking();
    let event = companion(&world);
    {
        let mut state = world.state();
        let workflow = state.github.actions(COMPANION).workflow("build.yml");
        workflow.run_name = "Build {nonce}".into();
        workflow.inputs = Some(vec!["tag".into(), "nonce".into()]);
        workflow.script = WorkflowScript::ending("success", 2).pushing("dashboard:{tag}");
    }
    let step = resolving(&world, &event).inputs(&[
        ("registry", &world.registry_host()),
        ("strategy", "dispatch"),
        ("workflow", "build.yml"),
        ("dispatch_inputs", "tag={tag}"),
        ("poll_interval", "1s"),
        ("timeout", "5m"),
    ]);
    Set { world, step }
}

fn route() -> Set {
    let world = World::start_blocking();
    pull_request(&world);
    let said = Moment::from_second(1_767_268_800);
    let id = {
        let mut state = world.state();
        let repository = state.github.repository("acme/app");
        let head = repository.pulls[&PULL].head_sha.clone();
        repository.pushed("feature", &head, Moment::from_second(said.as_second() - 60));
        repository.role("octocat", "write");
        repository.comment(PULL, "octocat", "/plan")
    };
    let user = json!({ "login": "octocat", "type": "User" });
    let event = json!({
        "action": "created",
        "issue": { "number": PULL, "pull_request": { "url": "https://api.github.com/repos/acme/app/pulls/7" } },
        "comment": { "id": id, "body": "/plan", "user": user, "created_at": said.to_string() },
        "sender": user,
        "repository": { "full_name": "acme/app", "default_branch": "main" },
    });
    let step = Landfall::new("route").envs(world.github_env()).token(TOKEN).event("issue_comment", &event);
    world.explain_writes();
    Set { world, step }
}

fn scan_ecr() -> Set {
    let world = World::start_blocking();
    world.state().images.image("web:v1");
    world.state().scans.insert("web:v1".into(), Scan::default());
    world.explain_writes();
    let image = format!("{}/web:v1", crate::world::ecr::host(&world.state()));
    let step = with_role(&world, Landfall::new("scan"));
    Set { step: step.inputs(&[("provider", "ecr"), ("image", &image), ("poll_interval", "1s")]), world }
}

fn tags() -> Set {
    let step = Landfall::new("tags").input("image", "ghcr.io/acme/app").input("rules", "always: sha-{sha7}");
    Set { world: World::start_blocking(), step }
}

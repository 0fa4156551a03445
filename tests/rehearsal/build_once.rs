//! Purpose: one build, and a test of that very image by another workflow.

use crate::event::{Event, PullRequest, REPOSITORY, WorkflowRun};
use crate::hosts::{Done, Host, checkout};
use crate::image::{base, tool};
use crate::stage::Stage;
use crate::walk::{Walk, Walked};

const BUILD: &str = "examples/build-once/.github/workflows/build.yml";
const TEST: &str = "examples/build-once/.github/workflows/integration.yml";
const IMAGE: &str = "acme/app";

/// Stands in for Postgres: ready when it was told its user.
const DATABASE: &str = r#"#!/bin/sh
[ "$POSTGRES_USER" = app ] && printf '#!/bin/sh\nexit 0\n' > /bin/pg_isready && chmod +x /bin/pg_isready
exec sleep 600
"#;

struct Project {
    stage: Stage,
    head: String,
    merge: String,
}

impl Project {
    fn new() -> Self {
        let stage = Stage::new();
        stage.registry("ghcr.io");
        stage.free_ports(&[8080]);
        let local = format!("{}-local", stage.unique);
        stage.rename("acme/app:test", &format!("{local}:test")).made(&format!("{local}:test"));
        // A database cannot be pulled here; what stands for it says when it is ready.
        let database = format!("{}-postgres:17", stage.unique);
        tool(&database, DATABASE);
        stage.rename("postgres:17", &database).made(&database);
        let dockerfile = format!("FROM {}\nCOPY --chmod=755 app /app\nCMD [\"/app\"]\n", base());
        let app = "#!/bin/sh\n[ \"$1\" = migrate ] && exit 0\nmkdir -p /www && echo ok > /www/health && exec httpd -f -p 8080 -h /www\n";
        let files = [("Dockerfile", dockerfile.as_str()), ("app", app)];
        stage.commit("main", "examples/build-once", &files);
        let head = stage.commit("topic", "examples/build-once", &[&files[..], &[("change", "1")]].concat());
        let merge = stage.pull(7, "topic", &head, "main");
        Self { stage, head, merge }
    }

    fn pull(&self) -> PullRequest<'_> {
        PullRequest {
            number: 7,
            head: "topic",
            head_sha: &self.head,
            head_repository: REPOSITORY,
            base: "main",
            merge_sha: &self.merge,
        }
    }

    fn build(&self) -> Walked {
        self.stage.walk(BUILD, Event::pull_request(&self.pull())).host("image", "actions/checkout", checkout).go()
    }

    fn test(&self, pull: &PullRequest<'_>) -> Walked {
        let run = WorkflowRun {
            id: self.stage.runs.get(),
            name: "Build",
            event: "pull_request",
            conclusion: "success",
            branch: "topic",
            sha: &self.head,
            pull: Some(pull),
        };
        let main = self.stage.world.state().github.repository(REPOSITORY).branches["main"].clone();
        let walk: Walk<'_> = self.stage.walk(TEST, Event::after(&run, &main));
        walk.given("pull", "wait", "1ms")
            .host("test", "actions/checkout", checkout)
            .host("test", "curl --fail", curl)
            .go()
    }
}

/// `curl --fail "$URL"`, from the machine itself.
fn curl(host: &mut Host<'_>) -> Done {
    let url = host.env("URL").to_owned();
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap().to_owned();
    let mut stream =
        std::net::TcpStream::connect(format!("127.0.0.1:{port}")).map_err(|error| format!("{url}: {error}"))?;
    use std::io::{Read as _, Write as _};
    stream.write_all(b"GET /health HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
    host.says = url;
    if answer.contains("200 OK") { Ok(()) } else { Err(answer) }
}

#[test]
fn build_once_tests_the_very_image() {
    let project = Project::new();
    let built = project.build();
    built.ended(&[("image", "success")]);
    let tested = project.test(&project.pull());
    tested.ended(&[("test", "success")]);
    assert_eq!(tested.output("test", "pull", "source"), "registry");
    assert_eq!(tested.output("test", "pull", "digest"), built.output("image", "build", "digest"));
    insta::assert_snapshot!([&built, &tested].map(Walked::told).join("\n"));
    // Without the registry's image, the artifact of the run that built.
    let run = project.stage.runs.get() - 1;
    project.stage.runs.set(run);
    project.stage.world.state().images.repositories.get_mut(IMAGE).unwrap().tags.clear();
    let tested = project.test(&project.pull());
    tested.ended(&[("test", "success")]);
    assert_eq!(tested.output("test", "pull", "source"), "artifact");
    // What a fork's pull request triggered is refused before anything of it is checked out.
    let foreign = PullRequest { head_repository: "mallory/app", ..project.pull() };
    let refused = project.test(&foreign);
    refused.ended(&[("test", "failure")]);
    insta::assert_snapshot!("build_once_refuses_a_fork", refused.told());
    project.stage.world.explain_writes();
    project.stage.finish();
}

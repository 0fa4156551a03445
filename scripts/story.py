"""The story of `make demo`, told step by step; run by scripts/demo, which sets the stage.

A pull request of a gateway needs the dashboard's image for its API tests. The dashboard lives in another repository, has no
branch of that name, and no image for this commit. So it is built against the commit under test, pushed, found, and shipped.
"""

import http.server
import json
import os
import pathlib
import secrets
import subprocess
import sys
import threading
import time
import urllib.request

import boto3
from fake_runner import Job
from fake_world import World

GATEWAY_REPOSITORY, DASHBOARD_REPOSITORY = "acme/gateway", "acme/dashboard"
BRANCH, COMMITTED = "feature/rate-limits", "2026-03-14T15:09:26Z"
DASHBOARD = {
    "go.mod": """module github.com/acme/dashboard

go 1.24

require (
\tgithub.com/acme/gateway v1.4.0
\tgithub.com/acme/log v0.3.1
)
""",
    "main.go": "package main\n\nfunc main() {}\n",
    # Nothing can be pulled in a demo, so the image holds its own go.mod as proof of what it was built against.
    "Dockerfile": 'FROM scratch\nCOPY go.mod main.go /src/\nENTRYPOINT ["/dashboard"]\n',
}
KEY_ID, KEY = "AKIADEMO" + secrets.token_hex(6).upper(), secrets.token_urlsafe(30)
WIDTH = 100


def check(true, what):
    if not true:
        raise SystemExit(f"\ndemo: NOT as expected: {what}")
    print(f"  ✔ {what}")


def heading(text, line="━"):
    print(f"\n{line * 4} {text} {line * max(0, WIDTH - len(text) - 6)}", flush=True)


def indented(text):
    print("".join(f"  │ {line}\n" for line in text.splitlines()), end="", flush=True)


class Health(http.server.BaseHTTPRequestHandler):
    """What a load balancer in front of the service would answer."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status":"pass"}')

    def log_message(self, *_):
        pass


def serve_health(address):
    server = http.server.ThreadingHTTPServer((address, 0), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://{address}:{server.server_port}/hello"


class Story:
    def __init__(self):
        self.stage, self.gateway = pathlib.Path(os.environ["STAGE"]), os.environ["GATEWAY"]
        self.registry = os.environ["LANDFALL_TEST_REGISTRY"]
        self.repository = f"demo-{secrets.token_hex(4)}/dashboard"
        self.image = f"{self.registry}/{self.repository}"
        self.commit, self.token = secrets.token_hex(20), "ghs_" + secrets.token_hex(18)

    def tell(self):
        with self.serve_world() as world:
            self.walk(world)
            left = world.ask("unexplained")
        heading("What the world saw")
        check(
            not left["problems"], "no unknown request, no credential where it must not go" + "".join(f"\n    {p}" for p in left["problems"])
        )
        check(not left["writes"], "nothing was written to GitHub")

    def walk(self, world):
        cluster, service = self.create_service()
        job = self.job(world.doors["github"])
        first = self.resolve(job, "1. resolve: which dashboard image do these tests need?")
        self.check_build_required(first)
        built = self.build(job, first)
        again = self.resolve(job, "3. resolve again: now the image is there")
        self.check_existing(again, built)
        self.deploy(job, built, cluster, service)
        heading("5. Post stages, last step first")
        for post in job.finish(echo=indented):
            check(post.exit_code == 0, "exit code 0")

    # The stage

    def serve_world(self):
        """The fake GitHub with both repositories; the job's token may read them."""
        seed = {"github": {
            "tokens": {self.token: {"login": "github-actions[bot]", "repositories": {"acme/*": "read"}}},
            "repositories": {
                GATEWAY_REPOSITORY: {"default_branch": "master", "branches": {BRANCH: self.commit},
                                     "commits": {self.commit: {"message": "Limit rates", "date": COMMITTED}}},
                DASHBOARD_REPOSITORY: {"private": True, "default_branch": "master", "trees": {"master": DASHBOARD}},
            },
        }}  # fmt: skip
        (self.stage / "seed.json").write_text(json.dumps(seed))
        return World(self.gateway, self.stage / "seed.json")

    def create_service(self):
        """Creates what a team has before its first deploy: a cluster and a service on an old revision."""
        self.ecs = boto3.client("ecs", endpoint_url=os.environ["AWS"], region_name="eu-central-1",
                                aws_access_key_id=KEY_ID, aws_secret_access_key=KEY)  # fmt: skip
        cluster, service = "staging", "dashboard"
        self.ecs.create_cluster(clusterName=cluster)
        self.ecs.register_task_definition(
            family="dashboard", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
            containerDefinitions=[{"name": "dashboard", "image": f"{self.image}:old", "essential": True,
                                   "portMappings": [{"containerPort": 3000}]}])  # fmt: skip
        self.ecs.create_service(cluster=cluster, serviceName=service, taskDefinition="dashboard:1", desiredCount=1, launchType="FARGATE")
        return cluster, service

    def job(self, github):
        """A job of the gateway's pull request, as its `pull_request` event starts it."""
        head = {"ref": BRANCH, "sha": self.commit, "repo": {"full_name": GATEWAY_REPOSITORY, "fork": False}}
        base = {"ref": "master", "sha": "b" * 40, "repo": {"full_name": GATEWAY_REPOSITORY, "fork": False}}
        event = {
            "action": "synchronize", "number": 42,
            "pull_request": {"number": 42, "head": head, "base": base, "title": "Limit rates", "html_url": "https://github.com/acme/gateway/pull/42"},
            "repository": {"full_name": GATEWAY_REPOSITORY, "name": "gateway", "default_branch": "master",
                           "html_url": "https://github.com/acme/gateway", "owner": {"login": "acme"}},
            "sender": {"login": "octocat", "type": "User"},
        }  # fmt: skip
        return Job(self.stage / "job", event_name="pull_request", event=event, token=self.token, github={
            "API_URL": f"http://{github}", "REPOSITORY": GATEWAY_REPOSITORY, "REPOSITORY_OWNER": "acme",
            "REF": "refs/pull/42/merge", "REF_NAME": "42/merge", "HEAD_REF": BRANCH, "BASE_REF": "master", "SHA": "c" * 40,
        })  # fmt: skip

    # The steps

    def run(self, job, title, action, inputs, env=None):
        heading(title)
        print(f"uses: {'./' + action if action != '.' else './'}\nwith:")
        indented("\n".join(f"{name}: {job.hide(value)}" for name, value in inputs.items()))
        started = time.monotonic()
        print("log:")
        step = job.step(action, inputs, env, echo=indented)
        print(f"outputs (exit code {step.exit_code}, {time.monotonic() - started:.1f} s with the container's start):")
        indented("\n".join(f"{name} = {value}" for name, value in step.outputs.items()))
        print("job summary:")
        indented(step.summary)
        print("checks:")
        check(step.exit_code == 0, "exit code 0")
        check(step.outputs.get("result") == "success", "result = success")
        check(step.summary.strip(), "a job summary was written")
        return step.outputs

    def resolve(self, job, title):
        return self.run(job, title, "actions/resolve", {
            "registry": self.registry, "repository": self.repository,
            "companion": DASHBOARD_REPOSITORY, "companion_token": self.token,
        })  # fmt: skip

    def check_build_required(self, outputs):
        check(outputs["strategy"] == "build-required", "strategy = build-required")
        check(outputs["needs_build"] == "true", "needs_build = true")
        check(outputs["branch"] == "master", "branch = master, as the dashboard has no branch " + BRANCH)
        check(outputs["image"] == f"{self.image}:sha-{self.commit}", "image is named after the commit under test")
        check(outputs["image"] == outputs["dashboard_image"], "the older output name says the same")

    def build(self, job, resolved):
        outputs = self.run(job, "2. build: the dashboard against the commit under test", "actions/build", {
            "source": f"{DASHBOARD_REPOSITORY}@{resolved['branch']}", "source_token": self.token,
            "update_reference": f"go-module: github.com/{GATEWAY_REPOSITORY}@{self.commit}",
            "tags": resolved["image"], "push": "true",
        })  # fmt: skip
        stored = self.registry_digest(outputs["image"].rpartition(":")[2])
        check(outputs["digest"] == stored, f"the registry holds {stored}")
        check(outputs["image_ref"] == f"{self.image}@{stored}", "image_ref names that digest")
        version = f"v0.0.0-{COMMITTED.translate(str.maketrans('', '', '-:TZ'))}-{self.commit[:12]}"
        require = f"github.com/{GATEWAY_REPOSITORY} {version}"
        check(require in self.file_in_image(outputs["image_ref"], "/src/go.mod"), f"go.mod in the image requires {require}")
        return outputs

    def check_existing(self, outputs, built):
        check(outputs["strategy"] == "existing-image", "strategy = existing-image")
        check(outputs["needs_build"] == "false", "needs_build = false")
        check(outputs["digest"] == built["digest"], "digest is the one that was pushed")

    def deploy(self, job, built, cluster, service):
        health = serve_health(self.gateway)
        outputs = self.run(job, "4. deploy: ship it to ECS", ".", {
            "command": "deploy", "cluster": cluster, "service": service, "container": "dashboard", "image": built["image_ref"],
            "aws_region": "eu-central-1", "health_url": health, "timeout": "2m",
        }, {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": KEY, "AWS_ENDPOINT_URL": os.environ["AWS"]})  # fmt: skip
        check(outputs["status"] == "deployed", "status = deployed")
        check(outputs["previous_task_definition_arn"].endswith("dashboard:1"), "the previous revision is known")
        running = self.ecs.describe_services(cluster=cluster, services=[service])["services"][0]["taskDefinition"]
        check(running == outputs["task_definition_arn"], f"the service runs {running.rpartition('/')[2]}")
        definition = self.ecs.describe_task_definition(taskDefinition=running)["taskDefinition"]
        check(definition["containerDefinitions"][0]["image"] == built["image_ref"], "that revision names the pushed digest")

    # Looking behind the scenes

    def registry_digest(self, tag):
        kinds = "index.v1+json", "manifest.v1+json"
        accept = ", ".join(
            [*(f"application/vnd.oci.image.{kind}" for kind in kinds), "application/vnd.docker.distribution.manifest.v2+json"]
        )
        url = f"http://{self.registry}/v2/{self.repository}/manifests/{tag}"
        request = urllib.request.Request(url, method="HEAD", headers={"Accept": accept})
        with urllib.request.urlopen(request) as answer:
            return answer.headers["Docker-Content-Digest"]

    def file_in_image(self, image, path):
        def docker(*arguments):
            return subprocess.run(["docker", *arguments], check=True, capture_output=True).stdout

        docker("pull", "--quiet", image)
        container = docker("create", image, "none").decode().strip()
        try:
            return docker("cp", f"{container}:{path}", "-").decode(errors="replace")
        finally:
            docker("rm", container)
            docker("rmi", image)


if __name__ == "__main__":
    began = time.monotonic()
    Story().tell()
    heading(f"the demo went as it should, in {time.monotonic() - began:.0f} s")
    sys.exit(0)

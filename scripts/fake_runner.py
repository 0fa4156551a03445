"""A stand-in for GitHub's runner: runs one container action as actions/runner's ContainerActionHandler does.

Same mounts, same flags, same environment, same file commands; what it finds is held to the runner's own grammar. Import
`Job` (the demo does), or try one step by hand, in a job directory that is made when it is missing:

    python scripts/fake_runner.py --job /tmp/job tags image=ghcr.io/octo/app

Needs PyYAML and a Docker CLI. It knows the few expressions that this action's input defaults use, and no others.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass, field

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUMMARY_LIMIT = 1024 * 1024


class RunnerError(Exception):
    """Something the real runner would fail the step for."""


def parse_file_command(text):
    """The grammar of GITHUB_OUTPUT, GITHUB_ENV and GITHUB_STATE (FileCommandManager.cs); only LF ends a line."""
    values, lines = {}, iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            name, value = line.split("=", 1)
        elif heredoc >= 0:
            name, delimiter = line.split("<<", 1)
            if not name or not delimiter:
                raise RunnerError(f"invalid format {line!r}: name and delimiter must not be empty")
            block = []
            for inner in lines:
                if inner == delimiter:
                    break
                block.append(inner)
            else:
                raise RunnerError(f"matching delimiter not found {delimiter!r}")
            value = "\n".join(block)
        else:
            raise RunnerError(f"invalid format {line!r}")
        if not name:
            raise RunnerError(f"invalid format {line!r}: name must not be empty")
        values[name] = value
    return values


def unescape(text, codes):
    for code, character in codes:
        text = text.replace(code, character)
    return text


DATA = [("%0D", "\r"), ("%0A", "\n"), ("%25", "%")]
PROPERTY = [("%3A", ":"), ("%2C", ","), *DATA]
COMMAND = re.compile(r"^\s*::([a-z-]+)(?: ([^:]*(?:%3A[^:]*)*))?::(.*)$", re.IGNORECASE)
LEGACY = re.compile(r"##\[([a-z-]+)[^\]]*\]", re.IGNORECASE)
KNOWN = {"group", "endgroup", "add-mask", "debug", "notice", "warning", "error", "stop-commands", "echo",
         "add-matcher", "remove-matcher", "set-output", "save-state", "set-env", "add-path"}  # fmt: skip


def hidden(text, masks):
    for mask in sorted(masks, key=len, reverse=True):
        text = text.replace(mask, "***")
    return text


@dataclass
class Log:
    """Reads a step's log as the runner does: commands act, masks hide, the rest is text."""

    masks: set
    annotations: list = field(default_factory=list)
    lines: list = field(default_factory=list)
    resume: str | None = None

    def feed(self, line):
        """One line in, the line to show out; None for a command that shows nothing."""
        if self.resume is not None:
            if line.strip() == f"::{self.resume}::":
                self.resume = None
                return None
            return self.show(line)
        if (legacy := LEGACY.search(line)) and legacy[1].lower() in KNOWN:
            raise RunnerError(f"foreign text starts a workflow command: {line!r}")
        match = COMMAND.match(line)
        if not match or match[1].lower() not in KNOWN:
            return self.show(line)
        return self.command(match[1].lower(), match[2] or "", match[3])

    def command(self, name, properties, data):
        if name == "stop-commands":
            self.resume = data
            return None
        data = unescape(data, DATA)
        if name == "add-mask":
            self.masks.update(part for part in data.splitlines() if part)
            return None
        if name in ("error", "warning", "notice"):
            pairs = dict(pair.split("=", 1) for pair in properties.split(",") if "=" in pair)
            title = unescape(pairs.get("title", ""), PROPERTY)
            self.annotations.append((name, title, data))
            return self.show(f"{name.title()}: {title + ': ' if title else ''}{data}")
        shown = {"group": f"▾ {data}", "debug": f"debug: {data}"}.get(name)
        return shown and self.show(shown)

    def show(self, line):
        self.lines.append(hidden(line, self.masks))
        return self.lines[-1]


@dataclass
class Step:
    """What a step left behind."""

    exit_code: int
    outputs: dict
    summary: str
    log: Log


class Job:
    """One job: a workspace, a temporary directory, an event, and the steps that run in it."""

    def __init__(self, directory, image="landfall:dev", event_name="workflow_dispatch", event=None, github=None, env=None, token=""):
        self.image, self.event_name, self.github, self.env, self.token = image, event_name, github or {}, env or {}, token
        self.directory = pathlib.Path(directory).resolve()
        self.workspace = self.directory / "work" / "repo" / "repo"
        self.temp = self.directory / "work" / "_temp"
        self.masks, self.posts = {token} - {""}, []
        # Host path, path in the container. The order is the runner's: the first match translates.
        self.mounts = [
            (self.workspace, "/github/workspace"),
            (self.temp / "_runner_file_commands", "/github/file_commands"),
            (self.temp / "_github_workflow", "/github/workflow"),
            (self.temp / "_github_home", "/github/home"),
            (self.temp, "/github/runner_temp"),
        ]
        for host, _ in self.mounts:
            host.mkdir(parents=True, exist_ok=True)
        (self.temp / "_github_workflow" / "event.json").write_text(json.dumps(event or {}))

    def step(self, action, inputs, env=None, echo=print):
        """Runs the action whose metadata lies in directory `action` of the repository, and returns what it left."""
        metadata = yaml.safe_load((ROOT / action / "action.yml").read_text())
        state = {}
        step = self._run(metadata, inputs, env or {}, state, metadata["runs"].get("entrypoint"), echo)
        if post := metadata["runs"].get("post-entrypoint"):
            self.posts.append((metadata, inputs, env or {}, state, post))
        return step

    def hide(self, text):
        """What the runner would show of a text: secrets and masks replaced."""
        return hidden(text, self.masks)

    def finish(self, echo=print):
        """The post stages, last step first."""
        return [self._run(*post, echo) for post in reversed(self.posts)]

    def _run(self, metadata, inputs, env, state, entrypoint, echo):
        files = {name: self.temp / "_runner_file_commands" / f"{name}_{uuid.uuid4()}"
                 for name in ("set_output", "set_env", "add_path", "save_state", "step_summary")}  # fmt: skip
        for file in files.values():
            file.touch()
        environment = self._environment(metadata, inputs, env, files, echo)
        environment |= {f"STATE_{key}": value for key, value in state.items()}
        command = self._command(environment, entrypoint, metadata["runs"].get("args", []), inputs)
        log = Log(self.masks)
        with subprocess.Popen(command, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, encoding="utf-8", errors="replace") as process:  # fmt: skip
            for line in process.stdout:
                shown = log.feed(line.rstrip("\n"))
                if shown is not None:
                    echo(shown)
        if log.resume is not None:
            raise RunnerError("the log ends between stop-commands and its resume token")
        outputs = parse_file_command(files["set_output"].read_text())
        self.env |= parse_file_command(files["set_env"].read_text())
        state |= parse_file_command(files["save_state"].read_text())
        summary = files["step_summary"].read_text()
        if len(summary.encode()) > SUMMARY_LIMIT:
            raise RunnerError("the job summary is above 1 MiB: the runner would drop it")
        return Step(process.returncode, outputs, summary, log)

    def _command(self, environment, entrypoint, args, inputs):
        endpoint = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        if not endpoint.startswith("unix://"):
            raise RunnerError(f"the runner mounts a socket; {endpoint} is none")
        command = ["docker", "run", "--name", f"landfall_{uuid.uuid4().hex[:6]}", "--label", "5588e4",
                   "--workdir", "/github/workspace", "--rm"]  # fmt: skip
        for name in environment:
            command += ["-e", name]
        command += ["-e", "GITHUB_ACTIONS=true", "-e", "CI=true"]
        if entrypoint:
            command += ["--entrypoint", entrypoint]
        command += ["-v", f"{endpoint.removeprefix('unix://')}:/var/run/docker.sock"]
        for host, container in reversed(self.mounts):
            command += ["-v", f"{host}:{container}"]
        return [*command, self.image, *(self._evaluate(str(arg), inputs) for arg in args)]

    def _environment(self, metadata, inputs, env, files, echo):
        declared = metadata.get("inputs", {})
        for name in inputs.keys() - declared.keys():
            echo(f"Warning: unexpected input {name!r}")
        values = {name: self._evaluate(str(entry.get("default", "")), inputs) for name, entry in declared.items()} | inputs
        environment = self.env | env
        environment |= {f"INPUT_{name.replace(' ', '_').upper()}": value for name, value in values.items()}
        environment |= {f"GITHUB_{name}": value for name, value in (self._github() | self.github).items()}
        environment |= {
            "GITHUB_OUTPUT": files["set_output"], "GITHUB_ENV": files["set_env"], "GITHUB_PATH": files["add_path"],
            "GITHUB_STATE": files["save_state"], "GITHUB_STEP_SUMMARY": files["step_summary"],
            "RUNNER_OS": "Linux", "RUNNER_ARCH": "X64", "RUNNER_NAME": "stand-in", "RUNNER_ENVIRONMENT": "self-hosted",
            "RUNNER_TEMP": self.temp, "RUNNER_TOOL_CACHE": self.directory / "tools", "RUNNER_WORKSPACE": self.workspace.parent,
            "HOME": self.temp / "_github_home",
            "ACTIONS_RUNTIME_URL": "http://runtime.invalid/", "ACTIONS_RUNTIME_TOKEN": "runtime-token",
        }  # fmt: skip
        return {name: self._translate(str(value)) for name, value in environment.items()}

    def _github(self):
        return {
            "ACTION": "step", "ACTOR": "octocat", "ACTOR_ID": "1", "API_URL": "https://api.github.com",
            "BASE_REF": "", "EVENT_NAME": self.event_name, "EVENT_PATH": self.temp / "_github_workflow" / "event.json",
            "GRAPHQL_URL": "https://api.github.com/graphql", "HEAD_REF": "", "JOB": "job", "REF": "refs/heads/main",
            "REF_NAME": "main", "REF_PROTECTED": "false", "REF_TYPE": "branch", "REPOSITORY": "octo/app", "REPOSITORY_ID": "1",
            "REPOSITORY_OWNER": "octo", "REPOSITORY_OWNER_ID": "1", "RETENTION_DAYS": "90", "RUN_ATTEMPT": "1", "RUN_ID": "1",
            "RUN_NUMBER": "1", "SERVER_URL": "https://github.com", "SHA": "0" * 40, "TRIGGERING_ACTOR": "octocat",
            "WORKFLOW": "CI", "WORKSPACE": self.workspace,
        }  # fmt: skip

    def _translate(self, value):
        for host, container in self.mounts:
            if value == str(host) or value.startswith(f"{host}/"):
                return container + value.removeprefix(str(host))
        return value

    def _evaluate(self, text, inputs):
        def value(match):
            name = match[1].strip()
            if name == "github.token":
                return self.token
            if name.startswith("inputs."):
                return inputs.get(name.removeprefix("inputs."), "")
            raise RunnerError(f"this stand-in does not know the expression {match[0]}")

        return re.sub(r"\$\{\{(.*?)\}\}", value, text)


def main():
    parser = argparse.ArgumentParser(description="Runs one step of this action as GitHub's runner does.")
    parser.add_argument("--job", required=True, help="job directory; steps of one job share it")
    parser.add_argument("--image", default="landfall:dev")
    parser.add_argument("command", help="a Landfall command")
    parser.add_argument("inputs", nargs="*", metavar="name=value")
    given = parser.parse_args()
    job = Job(given.job, given.image, token=os.environ.get("GITHUB_TOKEN", ""))
    step = job.step(".", {"command": given.command} | dict(pair.split("=", 1) for pair in given.inputs))
    job.finish()
    print(json.dumps(step.outputs, indent=2), step.summary, sep="\n")
    return step.exit_code


if __name__ == "__main__":
    sys.exit(main())

"""The tests' fake world (GitHub, AWS, a registry) as a process, for scripts that tell or measure."""

import json
import os
import pathlib
import subprocess
import urllib.request


class World:
    """`doors` are its addresses by name; `WORLD` in the environment is the program."""

    def __init__(self, address: str, seed: pathlib.Path) -> None:
        command = [os.environ["WORLD"], "--listen", f"{address}:0", "--seed", str(seed)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.doors = json.loads(self.process.stdout.readline() or "{}")

    def ask(self, what: str):
        """One of the control door's answers: `requests`, `state`, `unexplained`."""
        with urllib.request.urlopen(f"http://{self.doors['control']}/{what}") as answer:
            return json.load(answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=20)

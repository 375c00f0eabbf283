#!/usr/bin/env python
"""Sends the same generated requests to a reference kube-apiserver and to `ledger serve`, and prints where answers differ.

    tools/run python tools/differential/run.py --reference https://HOST:PORT --reference-token T \\
        --server https://127.0.0.1:6443 --token T [replicasets cronjobs ...]

Without names every kind described in kinds/*.yaml and every scene of scripts/*.yaml is played. Both servers should run
without controllers, with the same service ranges; the tokens' users need all rights. What a run creates it deletes
again, on both.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import yaml
from compare import Pairing, differences
from exchange import Server, Step
from lifecycle import Kind, clearing, steps
from scripts import read_script, script_clearing, script_steps

SETTLED_S = 0.3  # by then a server's own controllers have answered a write
HERE = Path(__file__).parent


def main() -> int:
    options = parsed()
    failures = 0
    for title, scene, cleared, settles in scenes(options.kinds):
        servers = Server(options.reference, options.reference_token), Server(options.server, options.token)
        perform_all(cleared, *servers)
        compared, found = play(scene, *servers, SETTLED_S if settles else 0)
        perform_all(cleared, *servers)
        failures += bool(found)
        print(f"{title}: {compared} steps, {len(found)} differ")
        for about, lines in found.items():
            print(f"  {about}")
            for line in lines[: options.show]:
                print(f"      {line}")
    return 1 if failures else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare a server with a reference kube-apiserver.")
    parser.add_argument("--reference", required=True)
    parser.add_argument("--reference-token", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--show", type=int, default=6, help="at most so many differences per step")
    parser.add_argument("kinds", nargs="*", help="resources; default: all that are described")
    return parser.parse_args()


def scenes(names: list[str]) -> Iterator[tuple[str, list[Step], list[Step], bool]]:
    """Title, steps, steps that clear, and whether the server writes too, of what was named."""
    for path in sorted((HERE / "kinds").glob("*.yaml")):
        for description in yaml.safe_load(path.read_text()):
            if not names or description["resource"] in names or path.stem in names:
                kind = Kind(**description)
                title = f"{kind.api_version} {kind.resource}"
                yield title, list(steps(kind)), list(clearing(kind)), kind.settles
    for path in sorted((HERE / "scripts").glob("*.yaml")):
        if not names or path.stem in names:
            script = read_script(path)
            yield script.name, list(script_steps(script)), list(script_clearing(script)), False


def play(scene: list[Step], reference: Server, tested: Server, pause_s: float) -> tuple[int, dict[str, list[str]]]:
    """How many steps were compared, and the differing lines by step."""
    pairing, found = Pairing(), {}
    for step in scene:
        expected, got = reference.perform(step), tested.perform(step)
        if step.method != "GET":
            time.sleep(pause_s)
        lines = differences(expected, got, pairing)
        if lines:
            found[f"{step.about}: {step.method} {step.path}"] = lines
        elif step.about == "create rich" and expected["status"] != 201:
            print(f"  (the rich object is refused by both: {expected})")
    return len(scene), found


def perform_all(clearing: list[Step], *servers: Server) -> None:
    for server in servers:
        for step in clearing:
            server.perform(step)


if __name__ == "__main__":
    sys.exit(main())

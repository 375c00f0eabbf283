#!/usr/bin/env python
"""Sends the same generated requests to a reference kube-apiserver and to `ledger serve`, and prints where answers differ.

    tools/run python tools/differential/run.py --reference https://HOST:PORT --reference-token T \\
        --server https://127.0.0.1:6443 --token T [replicasets cronjobs ...]

Without names every kind described in kinds/*.yaml is played. Both servers should run without controllers, with the same
service ranges; the tokens' users need all rights. What a run creates it deletes again, on both.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import yaml
from compare import Pairing, differences
from exchange import Server
from lifecycle import Kind, clearing, steps

SETTLED_S = 0.3  # by then a server's own controllers have answered a write
KINDS = Path(__file__).parent / "kinds"


def main() -> int:
    options = parsed()
    failures = 0
    for kind in chosen(options.kinds):
        reference = Server(options.reference, options.reference_token)
        tested = Server(options.server, options.token)
        clear(kind, reference, tested)
        compared, found = play(kind, reference, tested)
        clear(kind, reference, tested)
        failures += bool(found)
        print(f"{kind.api_version} {kind.resource}: {compared} steps, {len(found)} differ")
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


def chosen(names: list[str]) -> Iterator[Kind]:
    for path in sorted(KINDS.glob("*.yaml")):
        for description in yaml.safe_load(path.read_text()):
            if not names or description["resource"] in names or path.stem in names:
                yield Kind(**description)


def play(kind: Kind, reference: Server, tested: Server) -> tuple[int, dict[str, list[str]]]:
    """How many steps were compared, and the differing lines by step."""
    pairing, found, compared = Pairing(), {}, 0
    for step in steps(kind):
        expected, got = reference.perform(step), tested.perform(step)
        compared += 1
        if kind.settles and step.method != "GET":
            time.sleep(SETTLED_S)
        lines = differences(expected, got, pairing)
        if lines:
            found[f"{step.about}: {step.method} {step.path}"] = lines
        elif step.about == "create rich" and expected["status"] != 201:
            print(f"  (the rich {kind.kind} is refused by both: {expected})")
    return compared, found


def clear(kind: Kind, *servers: Server) -> None:
    for server in servers:
        for step in clearing(kind):
            server.perform(step)


if __name__ == "__main__":
    sys.exit(main())

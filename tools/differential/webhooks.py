#!/usr/bin/env python
"""Plays the scenes of tests/webhook_scenes.py on two servers, one webhook server behind both, and compares.

    tools/run python tools/differential/webhooks.py --reference https://HOST:PORT --reference-token T \\
        --server https://127.0.0.1:6443 --token T [words of a scene's title ...]

Compared are the answers, and the reviews that the webhooks were sent. With --record FILE the reference's are written
down, for tests/server/test_webhook_scenes.py. The tokens' user must be peer-admin-token-user, as tools of a reference have it.
"""

from __future__ import annotations

import argparse
import json
import lzma
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.webhook_play import Player, play, until_served
from tests.webhook_scenes import HOOKS, SCENES
from tests.webhook_server import WebhookServer

SETTLED_S = 1.0  # by then a reference's informers have seen a change


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare how two servers call webhooks.")
    parser.add_argument("--reference", required=True)
    parser.add_argument("--reference-token", required=True)
    parser.add_argument("--server")
    parser.add_argument("--token")
    parser.add_argument("--record", type=Path)
    parser.add_argument("scenes", nargs="*")
    options = parser.parse_args()
    wanted = [title for title in SCENES if not options.scenes or any(one in title for one in options.scenes)]
    players = [Player(options.reference, options.reference_token, lambda player, step: time.sleep(SETTLED_S))]
    if options.server:
        players.append(Player(options.server, options.token, until_served))
    with tempfile.TemporaryDirectory() as directory, WebhookServer(Path(directory)) as server:
        server.answers.update(HOOKS)
        played = [play(player, server, wanted) for player in players]
    if options.record:
        options.record.write_bytes(lzma.compress(json.dumps(played[0]).encode()))
    return compare(*played) if len(played) == 2 else 0


def compare(reference: dict, ours: dict) -> int:
    different = steps = 0
    for title, expected in reference.items():
        for one, other in zip(expected, ours[title], strict=True):
            steps += 1
            if one != other:
                different += 1
                print(f"{title}: {one['line']}")
                for line in differences(one, other):
                    print(f"   {line}")
    print(f"{steps} steps, {different} differ")
    return different > 0


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Where two values differ, innermost."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from differences(one.get(key), other.get(key), f"{path}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(left, right, f"{path}[{index}]")
    elif one != other:
        yield f"{path}: {json.dumps(one)[:600]} != {json.dumps(other)[:600]}"


if __name__ == "__main__":
    sys.exit(main())

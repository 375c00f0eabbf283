from __future__ import annotations

import time

import trio

from tests.wire.hostile.fuzz import fuzz

COUNT = 1500


def test_damaged_conversations_end_well() -> None:
    seed = int(time.time())
    print(f"seed {seed}")
    trio.run(lambda: fuzz(seed, range(COUNT)))

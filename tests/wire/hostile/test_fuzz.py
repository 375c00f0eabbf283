from __future__ import annotations

import time

import pytest
import trio

from tests.wire.hostile.fuzz import TARGETS, fuzz

INPUTS = 2500


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_input_is_refused_and_harms_nobody(target: str) -> None:
    seed = int(time.time())
    print(f"seed {seed}")
    trio.run(lambda: fuzz(target, seed, range(int(INPUTS * TARGETS[target][1]))))

"""kill -9 under load loses nothing that was acknowledged; `tools/soak/kill9.py` does the same for longer."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from tests.served import REPOSITORY

ROUNDS = 3


@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_under_load_loses_nothing_acknowledged(workers: int) -> None:
    seed = random.randrange(1 << 32)
    command = [sys.executable, "tools/soak/kill9.py", "--rounds", str(ROUNDS), "--seed", str(seed)]
    command += ["--workers", str(workers)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{ROUNDS} rounds, nothing lost" in done.stdout

"""Events of workers come into the log once, in order, whoever is killed in between."""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from ledger.log import worker_journals
from ledger.log.api import InUse
from ledger.log.encoding import encode_event
from ledger.log.journal import Journal
from ledger.log.lmdb_engine import LmdbEngine
from ledger.projections.store import Store, folds
from ledger.replay.verify import verify
from tests.log.samples import event

NAME = "0"


def rows(first: int, last: int) -> list[bytes]:
    return [encode_event(event(number, "get")) for number in range(first, last + 1)]


def ids(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


def kept(data_dir: Path, token: bytes, some: list[bytes]) -> None:
    """What a worker that was killed leaves."""
    journal = Journal(data_dir, token, worker_journals.file_of(NAME))
    for number, row in enumerate(some, 1):
        assert journal.put(number, row, 0)
    journal.close()


def numbers(data_dir: Path) -> list[int]:
    """Of the events in the log, as their audit ids begin."""
    with Store.open(data_dir) as store:
        assert verify(store).intact
        return [int(one.audit_id[:8], 16) for one in store.events()]


def run(data_dir: Path, act: Callable[[LmdbEngine], Awaitable[None]], *, copy_to: Path | None = None) -> None:
    """Acts on an engine; `copy_to` gets the directory as it is then, as a kill would leave it."""

    async def main() -> None:
        engine = LmdbEngine(data_dir, folds())
        try:
            await act(engine)
            if copy_to is not None:
                shutil.copytree(data_dir, copy_to)
        finally:
            engine.close()

    trio.run(main)


def test_what_the_writer_has_not_taken_is_taken_when_the_log_is_opened_next(tmp_path: Path) -> None:
    async def act(engine: LmdbEngine) -> None:
        kept(tmp_path / "data", await engine.adopt(NAME), rows(1, 5))
        engine.take_in(NAME, rows(1, 2))
        engine.take_in(NAME, rows(3, 3))
        await engine.noted()

    run(tmp_path / "data", act, copy_to=tmp_path / "killed")
    for place in ("data", "killed"):
        assert numbers(tmp_path / place) == ids(1, 5)
        assert numbers(tmp_path / place) == ids(1, 5)
        assert not (tmp_path / place / worker_journals.file_of(NAME)).exists()


def test_what_a_dead_worker_left_is_taken_before_the_next_begins(tmp_path: Path) -> None:
    async def act(engine: LmdbEngine) -> None:
        first = await engine.adopt(NAME)
        kept(tmp_path / "data", first, rows(1, 4))
        taken = engine.take_in(NAME, rows(1, 1))
        assert [one.position for one in taken] == [1]
        second = await engine.adopt(NAME)  # the first row is queued, the rest only in the journal
        assert second != first
        assert engine.committed == 4
        await engine.adopt(NAME)  # a worker that died before it began: the journal is still the first one's
        kept(tmp_path / "data", await engine.adopt(NAME), rows(5, 6))

    run(tmp_path / "data", act, copy_to=tmp_path / "killed")
    for place in ("data", "killed"):
        assert numbers(tmp_path / place) == ids(1, 6)


def test_a_row_that_a_worker_encoded_is_stored_as_the_writer_would_have(tmp_path: Path) -> None:
    async def act(engine: LmdbEngine) -> None:
        await engine.adopt(NAME)
        engine.note(event(1))
        engine.take_in(NAME, [encode_event(event(1))])
        await engine.noted()

    run(tmp_path / "data", act)
    with Store.open(tmp_path / "data") as store:
        first, second = store.events()
        second.position = first.position
        assert first == second
        assert [one.position for one in store.events_with_audit_id("00000001")] == [2, 1]


def test_nobody_takes_over_from_a_worker_that_still_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(engine: LmdbEngine) -> None:
        kept(tmp_path / "data", await engine.adopt(NAME), rows(1, 2))

    run(tmp_path / "data", act)
    monkeypatch.setattr(worker_journals, "PATIENCE_S", 0.0)
    held = worker_journals.hold(tmp_path / "data", NAME)
    with pytest.raises(InUse, match="a worker process"):
        LmdbEngine(tmp_path / "data", folds())
    os.close(held)
    assert numbers(tmp_path / "data") == ids(1, 2)

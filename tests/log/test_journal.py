"""The journal: what is in it and not in the log comes into the log, once, in order, and nothing else does."""

from __future__ import annotations

import random
import shutil
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from ledger.log.journal import FILE, HALF_BYTES, HALVES_AT, Journal, left_behind
from ledger.log.lmdb_engine import LmdbEngine
from ledger.log.sequencer import Rows
from ledger.projections.store import Store, folds
from ledger.replay.verify import verify
from tests.log.samples import event, in_trio, put

TOKEN, OTHER = b"t" * 16, b"o" * 16


def test_what_was_kept_and_is_not_committed_is_found_whatever_came_before(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    journal = Journal(tmp_path, TOKEN)
    kept: dict[int, bytes] = {}
    committed = refused = 0
    for position in range(1, 1000):
        row = chance.randbytes(chance.choice((1, 600, 600, 600, 50_000)))
        if journal.put(position, row, committed):
            kept[position] = row
        else:
            refused += 1
        if chance.random() < 0.01:
            committed = chance.randint(committed, position)
        if chance.random() < 0.05:
            assert left_behind(tmp_path, TOKEN, committed) == [row for n, row in kept.items() if n > committed]
    assert refused and kept
    journal.close()


@pytest.mark.parametrize("size", [HALF_BYTES - 20, HALF_BYTES - 19, HALF_BYTES + 1])
def test_a_row_larger_than_a_half_is_not_kept(tmp_path: Path, size: int) -> None:
    journal = Journal(tmp_path, TOKEN)
    assert journal.put(1, b"small", 0)
    assert journal.put(2, b"x" * size, 0) is (size == HALF_BYTES - 20)
    assert left_behind(tmp_path, TOKEN, 0)[0] == b"small"
    assert journal.put(3, b"small", 2)
    assert left_behind(tmp_path, TOKEN, 2) == [b"small"]


def test_of_a_file_that_is_torn_the_whole_rows_before_are_found(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    journal = Journal(tmp_path, TOKEN)
    rows = [chance.randbytes(chance.randrange(1, 900)) for _ in range(40)]
    for position, row in enumerate(rows, 1):
        journal.put(position, row, 0)
    whole = (tmp_path / FILE).read_bytes()
    for _ in range(60):
        torn = bytearray(whole)
        at = chance.randrange(HALVES_AT, HALVES_AT + 25_000)
        torn[at : at + 512] = chance.choice((bytes(512), chance.randbytes(512)))
        (tmp_path / FILE).write_bytes(torn)
        found = left_behind(tmp_path, TOKEN, 0)
        assert found == rows[: len(found)]


def test_the_journal_of_another_log_is_not_read(tmp_path: Path) -> None:
    assert left_behind(tmp_path, TOKEN, 0) == []
    Journal(tmp_path, TOKEN).put(1, b"row", 0)
    assert left_behind(tmp_path, TOKEN, 0) == [b"row"]
    assert left_behind(tmp_path, OTHER, 0) == []
    assert left_behind(tmp_path, b"", 0) == []
    Journal(tmp_path, OTHER)
    assert left_behind(tmp_path, OTHER, 0) == left_behind(tmp_path, TOKEN, 0) == []


class Stuck:
    """A disk that takes nothing until it is told to."""

    def __init__(self, engine: LmdbEngine) -> None:
        self.go_on, self.write_rows = threading.Event(), engine.file.write_rows
        engine.file.write_rows = self  # type: ignore[method-assign,assignment]

    def __call__(self, rows: Rows) -> None:
        self.go_on.wait()
        self.write_rows(rows)


async def killed(engine: LmdbEngine, act: Callable[[], Awaitable[object]]) -> Path:
    """What a kill would leave on the disk, after an action whose commit does not come: a copy of the files."""
    engine.note(event(1, "get"))  # makes the journal
    disk = Stuck(engine)
    left = engine.data_dir.with_name("left")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(act)
        await trio.testing.wait_all_tasks_blocked()
        shutil.copytree(engine.data_dir, left)
        disk.go_on.set()
    engine.close()
    return left


def verbs(data_dir: Path, *, read_only: bool = False) -> list[str]:
    with Store.open(data_dir, read_only=read_only) as store:
        assert verify(store).intact
        return [found.verb for found in store.events()]


@in_trio
async def test_reads_that_were_answered_before_a_kill_are_in_the_log_once(tmp_path: Path) -> None:
    engine = LmdbEngine(tmp_path / "data", folds())
    await engine.append(event(0), [put("a")])

    async def read() -> None:
        for number in range(2, 40):
            engine.note(event(number, "get"))

    left = await killed(engine, read)
    for _ in range(3):
        assert verbs(left) == ["create", *["get"] * 39]
    with Store.open(left) as store:
        assert [found.audit_id for found in store.events(1)] == [event(n).audit_id for n in range(1, 40)]
        assert [found.position for found in store.events_of_user("alice")] == list(range(1, 41))


@in_trio
async def test_a_write_that_was_not_answered_leaves_no_event_between(tmp_path: Path) -> None:
    engine = LmdbEngine(tmp_path / "data", folds())

    async def act() -> None:
        engine.note(event(2, "get"))
        await engine.append(event(3), [put("a")])

    left = await killed(engine, act)
    with Store.open(left) as store:
        assert [found.verb for found in store.events()] == ["get", "get"] and store.head() == 0
        store.note(event(4, "list"))
        await store.noted()
        assert store.last_position() == 3


@in_trio
async def test_a_reader_takes_over_what_a_killed_writer_left(tmp_path: Path) -> None:
    engine = LmdbEngine(tmp_path / "data", folds())

    async def read() -> None:
        engine.note(event(2, "list"))

    left = await killed(engine, read)
    assert verbs(left, read_only=True) == ["get", "list"]
    assert verbs(left, read_only=True) == ["get", "list"]


@in_trio
async def test_a_reader_beside_a_writer_leaves_its_journal_alone(tmp_path: Path) -> None:
    engine = LmdbEngine(tmp_path / "data", folds())
    engine.note(event(1, "get"))
    await engine.noted()
    disk = Stuck(engine)
    engine.note(event(2, "list"))
    script = (
        "from pathlib import Path; from ledger.projections.store import Store\n"
        f"store = Store.open(Path({str(tmp_path / 'data')!r}), read_only=True)\n"
        "print([found.verb for found in store.events()])"
    )
    told = await trio.run_process([sys.executable, "-c", script], capture_stdout=True)
    assert told.stdout.decode().strip() == "['get']"
    disk.go_on.set()
    engine.close()
    assert verbs(tmp_path / "data") == ["get", "list"]


@in_trio
async def test_what_the_journal_has_no_room_for_waits_for_its_commit(tmp_path: Path) -> None:
    engine = LmdbEngine(tmp_path / "data", folds())
    assert engine.note(event(1, "get"))
    await engine.noted()
    disk = Stuck(engine)
    kept = [engine.note(event(n, "create", request_body=random.randbytes(100_000))) for n in range(2, 32)]
    assert kept == sorted(kept, reverse=True) and not kept[-1] and kept.count(True) == 20
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.noted)
        await trio.testing.wait_all_tasks_blocked()
        disk.go_on.set()
    with engine.read() as read:
        assert read.last_position() == 31
    engine.close()


@in_trio
async def test_where_the_disk_has_no_room_for_a_journal_notes_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    engine = LmdbEngine(tmp_path / "data", folds())
    assert not engine.note(event(1, "get"))
    await engine.noted()
    with engine.read() as read:
        assert read.last_position() == 1
    engine.close()

"""What only an engine on a disk can do: be reopened, be in use, be damaged, be killed, be full."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from ledger.log import sequencer
from ledger.log.api import Commit, Conflict, Entry, Fold, InUse, LogClosed, Unusable
from ledger.log.lmdb_engine import LmdbEngine
from ledger.log.sequencer import Rows
from ledger.projections.audit import AuditFold
from ledger.projections.history import HistoryFold
from ledger.projections.state import StateFold
from ledger.projections.store import Store, folds
from ledger.replay.verify import verify
from tests.log.samples import event, in_trio, key, put

ROUNDS_OF_KILL = 5
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def reopened(data_dir: Path, with_folds: Sequence[Fold] | None = None, **options: object) -> LmdbEngine:
    return LmdbEngine(data_dir, folds() if with_folds is None else with_folds, **options)  # type: ignore[arg-type]


@in_trio
async def test_a_reopened_log_goes_on_where_it_ended(data_dir: Path) -> None:
    engine = reopened(data_dir)
    await engine.append(event(1), [put("a")])
    engine.note(event(2, "get"))
    engine.close()
    engine = reopened(data_dir)
    assert await engine.append(event(3), [put("a", expect=1)]) == Commit(3, (2,))
    engine.close()
    with Store.open(data_dir) as store:
        assert verify(store).intact


@in_trio
async def test_closing_writes_what_is_queued_and_wakes_who_waits(data_dir: Path) -> None:
    engine = reopened(data_dir)
    commits: list[Commit] = []

    async def write(number: int) -> None:
        commits.append(await engine.append(event(number), [put(f"o{number}")]))

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(write, number)
        await trio.testing.wait_all_tasks_blocked()
        engine.note(event(99, "get"))
        engine.close()
    assert len(commits) == 20
    engine = reopened(data_dir)
    with engine.read() as read:
        assert (read.head(), read.last_position()) == (20, 21)
    engine.close()


@in_trio
async def test_whoever_waits_for_notes_ends_their_nap(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.log.writer.NOTE_DELAY_S", 3600.0)
    engine = reopened(data_dir)
    for number in range(3):
        engine.note(event(number, "get"))
        await engine.noted()
    engine.note(event(3, "get"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.append, event(4), [put("a")])
        nursery.start_soon(engine.noted)
    engine.note(event(5, "get"))
    engine.close()
    with Store.open(data_dir) as store:
        assert store.last_position() == 6 and verify(store).intact


def test_a_directory_in_use_is_refused_and_free_again_after_close(data_dir: Path) -> None:
    engine = reopened(data_dir)
    with pytest.raises(InUse, match="in use by another process"):
        reopened(data_dir)
    engine.close()
    reopened(data_dir).close()


@in_trio
async def test_a_log_in_use_can_be_read_beside_its_writer(data_dir: Path) -> None:
    engine = reopened(data_dir)
    await engine.append(event(1), [put("a")])
    # LMDB must not open a file twice in one process, so the reader is another one.
    script = f"from ledger.projections.store import Store; print(Store.open({str(data_dir)!r}, read_only=True).head())"
    told = await trio.run_process([sys.executable, "-c", script], capture_stdout=True, cwd=REPOSITORY)
    assert told.stdout.strip() == b"1"
    await engine.append(event(2), [put("b")])
    engine.close()


@in_trio
async def test_a_log_opened_for_reading_refuses_to_be_written(data_dir: Path) -> None:
    reopened(data_dir).close()
    engine = reopened(data_dir, read_only=True)
    with pytest.raises(LogClosed, match="reading only"):
        await engine.append(event(), [put("a")])
    engine.close()


def test_reading_where_no_log_is_says_so_and_makes_nothing(data_dir: Path) -> None:
    with pytest.raises(Unusable, match="there is no log here"):
        reopened(data_dir, read_only=True)
    assert not data_dir.exists()


def test_a_data_directory_that_is_a_file_is_refused(data_dir: Path) -> None:
    data_dir.write_text("not a directory")
    with pytest.raises(Unusable, match=str(data_dir)):
        reopened(data_dir)


def test_the_data_directory_is_for_its_owner_alone(data_dir: Path) -> None:
    reopened(data_dir).close()
    assert data_dir.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in data_dir.iterdir())


@pytest.mark.parametrize(
    "damage", ["garbage", "first page lost", "cut in half", "cut to a page", "cut to nothing much"]
)
def test_a_damaged_file_is_refused_with_one_line(data_dir: Path, damage: str) -> None:
    async def fill() -> None:
        engine = reopened(data_dir)
        for number in range(40):
            await engine.append(event(number), [put(f"o{number}", random.Random(number).randbytes(20_000).hex())])
        engine.close()

    trio.run(fill)
    path = data_dir / "ledger.mdb"
    whole = path.read_bytes()
    assert len(whole) > 2 << 20
    path.write_bytes(
        {
            "garbage": random.Random(1).randbytes(len(whole)),
            "first page lost": bytes(8192) + whole[8192:],
            "cut in half": whole[: len(whole) // 2],
            "cut to a page": whole[:4096],
            "cut to nothing much": whole[:100],
        }[damage]
    )
    with pytest.raises(Unusable) as raised:
        reopened(data_dir)
    assert "\n" not in str(raised.value) and str(path) in str(raised.value)


@in_trio
async def test_an_error_of_the_disk_ends_the_log_and_acknowledges_nothing(data_dir: Path) -> None:
    engine = reopened(data_dir)
    await engine.append(event(1), [put("before")])

    def full(rows: Rows) -> None:
        raise OSError(28, "No space left on device")

    engine.file.write_rows = full  # type: ignore[method-assign]
    outcomes: list[str] = []

    async def write(number: int) -> None:
        try:
            await engine.append(event(number), [put(f"o{number}")])
        except LogClosed as error:
            outcomes.append(str(error))

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(write, number)
    assert len(outcomes) == 5 and all("No space left" in told for told in outcomes)
    with pytest.raises(LogClosed, match="No space left"):
        await engine.append(event(), [put("after")])
    engine.close()
    engine = reopened(data_dir)
    with engine.read() as read:
        assert (read.head(), read.last_position()) == (1, 1)
    engine.close()


@in_trio
async def test_an_error_of_the_disk_while_closing_is_told_to_all_who_wait(data_dir: Path) -> None:
    engine = reopened(data_dir)
    go_on = threading.Event()

    def full(rows: Rows) -> None:
        go_on.wait()
        raise OSError(28, "No space left on device")

    engine.file.write_rows = full  # type: ignore[method-assign]
    failed = 0

    async def write(number: int) -> None:
        nonlocal failed
        with pytest.raises(LogClosed, match="No space left"):
            await engine.append(event(number), [put(f"o{number}")])
        failed += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write, 0)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(1, 5):
            nursery.start_soon(write, number)
        await trio.testing.wait_all_tasks_blocked()
        go_on.set()
        engine.close()
    assert failed == 5


@in_trio
async def test_a_failing_sync_of_a_relaxed_log_ends_it_too(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.log.writer.SYNC_INTERVAL_S", 0.0)
    engine = reopened(data_dir, durability="relaxed")

    def broken() -> None:
        raise OSError(5, "Input/output error")

    engine.file.sync = broken  # type: ignore[method-assign]
    with pytest.raises(LogClosed, match="Input/output error"):
        for number in range(1 << 20):
            await engine.append(event(number), [put("a")])
    engine.close()


@in_trio
async def test_appends_that_queue_while_the_disk_is_busy_share_a_commit(data_dir: Path) -> None:
    engine = reopened(data_dir)
    go_on = threading.Event()
    commits: list[int] = []
    write_rows = engine.file.write_rows

    def slow(rows: Rows) -> None:
        go_on.wait()
        commits.append(len(rows.get("events", ())))
        write_rows(rows)

    engine.file.write_rows = slow  # type: ignore[method-assign]

    async def write(number: int) -> None:
        await engine.append(event(number), [put(f"o{number}")])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write, 0)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(1, 31):
            nursery.start_soon(write, number)
        await trio.testing.wait_all_tasks_blocked()
        go_on.set()
    assert commits == [1, 30]
    engine.close()


@in_trio
async def test_appends_of_one_turn_of_the_loop_share_a_commit(data_dir: Path) -> None:
    engine = reopened(data_dir)
    commits: list[int] = []
    engine.subscribe(lambda entries: commits.append(len(entries)))
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(engine.append, event(number + 1), [put(f"o{number}")])
    assert commits == [20]
    engine.close()


@in_trio
async def test_guards_hold_whether_a_revision_is_remembered_or_read(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer, "KNOWN_MAX", 2)
    engine = reopened(data_dir)
    for number in range(5):
        await engine.append(event(number + 1), [put(f"o{number}", expect=0)])
    for number in range(5):
        with pytest.raises(Conflict) as lost:
            await engine.append(event(9), [put(f"o{number}", expect=0)])
        assert lost.value.current == number + 1
        await engine.append(event(9), [put(f"o{number}", "new", expect=number + 1)])
    engine.close()


@in_trio
async def test_notes_that_the_disk_cannot_take_make_room_wait_and_are_counted_at_last(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.log.lmdb_engine.WAITING_BYTES_MAX", 10_000)
    engine = reopened(data_dir)
    go_on = threading.Event()
    write_rows = engine.file.write_rows

    def stuck(rows: Rows) -> None:
        go_on.wait()
        write_rows(rows)

    engine.file.write_rows = stuck  # type: ignore[method-assign]
    for number in range(1000):
        engine.note(event(number, "get", user="flood"))
    assert engine._waiting_bytes < 25_000
    waited = trio.Event()

    async def work() -> None:
        await engine.room()
        waited.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        await trio.testing.wait_all_tasks_blocked()
        assert not waited.is_set()
        go_on.set()
    await engine.append(event(1), [put("a")])
    engine.close()
    with Store.open(data_dir) as store:
        assert sum(found.count for found in store.events() if found.user.name == "flood") == 1000
        assert verify(store).intact


class SecondStateFold(StateFold):
    version = 2


@pytest.mark.parametrize(
    ("before", "after", "folded_again"),
    [
        (folds(), folds(), []),
        (folds()[:2], folds(), ["audit"]),
        ((), folds(), ["state", "history", "audit"]),
        (folds(), (SecondStateFold(), HistoryFold(), AuditFold()), ["state"]),
    ],
    ids=["nothing to do", "one missing", "all missing", "another version"],
)
@in_trio
async def test_what_is_missing_or_of_another_version_is_folded_at_open(
    data_dir: Path, before: Sequence[Fold], after: Sequence[Fold], folded_again: list[str]
) -> None:
    engine = reopened(data_dir, before)
    engine.append_imported([Entry(event(n), (put(f"o{n % 7}", str(n), revision=n),)) for n in range(1, 51)])
    engine.close()
    told: list[tuple[int, int]] = []
    engine = reopened(data_dir, after, progress=lambda done, total: told.append((done, total)))
    assert bool(told) == bool(folded_again)
    assert all(step == (50, 50) for step in told)
    store = Store(engine)
    if all(type(fold) is not SecondStateFold for fold in after):
        assert verify(store).intact
    with store.view() as view:
        found = view.get(key("o1"))
    assert found is not None and found.revision == 50
    store.close()


@in_trio
async def test_a_fold_that_is_behind_goes_on_from_its_checkpoint(data_dir: Path) -> None:
    engine = reopened(data_dir, folds())
    engine.append_imported([Entry(event(n), (put("a", revision=n),)) for n in range(1, 31)])
    engine.close()
    engine = reopened(data_dir, folds()[:2])
    await engine.append(event(31), [put("a")])
    engine.close()
    told: list[tuple[int, int]] = []
    engine = reopened(data_dir, folds(), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 1)]
    assert verify(Store(engine)).intact
    engine.close()


def test_a_projection_that_is_behind_is_not_read_as_if_it_were_true(data_dir: Path) -> None:
    engine = reopened(data_dir, folds()[:1])
    engine.append_imported([Entry(event(1), (put("a", revision=1),))])
    engine.close()
    with pytest.raises(Unusable, match="writing once"):
        reopened(data_dir, read_only=True)


WRITER = """
import os, sys, trio
from ledger.projections.store import Store
from tests.log.samples import event, put

async def main():
    store = Store.open(sys.argv[1])
    acknowledge = lambda name, commit: os.write(1, f"{name} {commit.revisions[0]}\\n".encode())
    async def write(worker):
        for number in range(1 << 30):
            name = f"w{worker}-{number % 50}"
            store.note(event(number, "get"))
            acknowledge(name, await store.append(event(number), [put(name, "x" * (number % 3000))]))
    async with trio.open_nursery() as nursery:
        for worker in range(8):
            nursery.start_soon(write, worker)

trio.run(main)
"""


def test_kill_9_loses_nothing_that_was_acknowledged(data_dir: Path) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    revision = 0
    for _ in range(ROUNDS_OF_KILL):
        lines = _acknowledged_until_killed(data_dir, enough=chance.randrange(50, 800))
        latest = {name: int(number) for name, number in (line.split() for line in lines)}
        with Store.open(data_dir) as store:
            report = verify(store)
            assert report.intact, report.damage
            with store.view() as view:
                for name, acknowledged in latest.items():
                    found = view.get(key(name))
                    assert found is not None and found.revision >= acknowledged
            assert report.changes >= revision + len(lines)
            revision = report.revision


def _acknowledged_until_killed(data_dir: Path, enough: int) -> list[str]:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(data_dir)], stdout=subprocess.PIPE, cwd=REPOSITORY)
    assert writer.stdout is not None
    told = b""
    while told.count(b"\n") < enough:
        chunk = os.read(writer.stdout.fileno(), 1 << 16)
        assert chunk, "the writer ended by itself"
        told += chunk
    writer.send_signal(signal.SIGKILL)
    told += writer.stdout.read()
    writer.wait()
    writer.stdout.close()
    return told[: told.rfind(b"\n")].decode().split("\n")

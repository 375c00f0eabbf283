"""What every engine promises. One suite, run on each; what only a disk can do is in test_lmdb_engine.py."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from ledger.apimachinery.http import User
from ledger.log.api import Commit, Conflict, Engine, Entry, LogClosed
from ledger.log.event import Guard
from ledger.log.lmdb_engine import LmdbEngine
from ledger.log.memory import MemoryEngine
from ledger.log.refold import entries, refold
from ledger.log.sequencer import BODY_BYTES_MAX, NOTES_A_SLICE
from ledger.projections.store import folds
from ledger.replay.verify import check_chain
from tests.log.samples import event, gone, in_trio, key, put

Open = Callable[[], Engine]


@pytest.fixture(params=["lmdb", "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    engines: list[Engine] = []

    def open_engine() -> Engine:
        engine: Engine = LmdbEngine(tmp_path / "data", folds()) if request.param == "lmdb" else MemoryEngine(folds())
        engines.append(engine)
        return engine

    yield open_engine
    for engine in engines:
        engine.close()


def state_of(engine: Engine, name: str) -> int:
    """The revision of an object; 0: absent."""
    with engine.read() as read:
        row = read.get("state", key(name).encode())
    return int.from_bytes(row[:8], "big") if row else 0


@in_trio
async def test_revisions_count_changes_from_1_and_positions_count_events(opened: Open) -> None:
    engine = opened()
    assert await engine.append(event(1), [put("a")]) == Commit(1, (1,))
    assert await engine.append(event(2, "get")) == Commit(2, ())
    assert await engine.append(event(3), [put("b"), put("c"), gone("a")]) == Commit(3, (2, 3, 4))
    with engine.read() as read:
        assert (read.head(), read.last_position()) == (4, 3)
        assert [found.revisions for found in read.events(0, 10)] == [(1,), (), (2, 3, 4)]


@in_trio
async def test_what_was_appended_is_read_back_whole(opened: Open) -> None:
    engine = opened()
    sent = event(
        7,
        user="bob",
        user_agent="kubectl/v1.37",
        source_ips=("10.0.0.1", "::1"),
        request_body=b"\x00raw",
        annotations={"authorization.k8s.io/decision": "allow"},
        rest=b'{"x":1}',
    )
    change = put("a", labels={"app": "web"})
    commit = await engine.append(sent, [change])
    with engine.read() as read:
        assert read.event(1) == sent.at(1, (1,))
        found = read.change(1)
        assert found is not None
        assert (found.key, found.body, found.uid, found.labels) == (change.key, change.body, change.uid, {"app": "web"})
        assert (found.revision, found.previous) == (1, 0)
        assert read.stamp(1) == (commit.position, sent.received, sent.answered)
        assert read.event(2) is None and read.change(2) is None and read.stamp(2) is None


@in_trio
async def test_a_request_with_bytes_that_are_no_text_still_leaves_an_event(opened: Open) -> None:
    engine = opened()
    await engine.append(event(1, user="al\udcffice", user_agent="\ud800", annotations={"a": "\udfff"}), [put("a")])
    with engine.read() as read:
        found = read.event(1)
    assert found is not None
    assert (found.user.name, found.user_agent, found.annotations) == ("al?ice", "?", {"a": "?"})
    with pytest.raises(UnicodeEncodeError):
        await engine.append(event(2), [put("a", labels={"\ud800": ""})])
    assert await engine.append(event(3), [put("a", expect=1)]) == Commit(2, (2,))


@in_trio
async def test_an_append_is_readable_when_it_returns(opened: Open) -> None:
    engine = opened()
    for number in range(1, 6):
        commit = await engine.append(event(number), [put("a", str(number))])
        assert state_of(engine, "a") == commit.revisions[0]


@pytest.mark.parametrize(
    ("before", "expect", "conflict"),
    [
        # revision of the object   guard   the conflict tells
        (0, 0, None),
        (0, 1, 0),
        (1, 1, None),
        (1, 0, 1),
        (1, 2, 1),
        (1, None, None),
    ],
)
@in_trio
async def test_a_guard_holds_or_nothing_happens(
    opened: Open, before: int, expect: int | None, conflict: int | None
) -> None:
    engine = opened()
    if before:
        await engine.append(event(1), [put("a", "old")])
    if conflict is None:
        await engine.append(event(2), [put("a", "new", expect=expect)])
        return
    with pytest.raises(Conflict) as raised:
        await engine.append(event(2), [put("b"), put("a", "new", expect=expect)])
    assert (raised.value.key, raised.value.current) == (key("a"), conflict)
    assert state_of(engine, "b") == 0
    assert await engine.append(event(3), [put("c")]) == Commit(before + 1, (before + 1,))


@in_trio
async def test_a_guard_on_another_object_holds_or_nothing_happens(opened: Open) -> None:
    engine = opened()
    await engine.append(event(1), [put("quota")])
    await engine.append(event(2), [put("a")], [Guard(key("quota"), 1), Guard(key("absent"), 0)])
    with pytest.raises(Conflict):
        await engine.append(event(3), [put("b")], [Guard(key("quota"), 2)])
    assert state_of(engine, "b") == 0


@in_trio
async def test_of_racing_writers_with_one_guard_one_wins_and_no_update_is_lost(opened: Open) -> None:
    engine = opened()
    lost = 0

    async def count_up(times: int) -> None:
        nonlocal lost
        for _ in range(times):
            while True:
                current = state_of(engine, "counter")
                try:
                    await engine.append(event(), [put("counter", expect=current)])
                    break
                except Conflict as conflict:
                    # What it lost against can be read: a retry does not spin.
                    assert state_of(engine, "counter") >= conflict.current > current
                    lost += 1

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(count_up, 5)
    assert state_of(engine, "counter") == 40
    assert lost > 0 or isinstance(engine, MemoryEngine)


@in_trio
async def test_a_conflict_leaves_its_neighbours_in_the_batch_alone(opened: Open) -> None:
    engine = opened()
    await engine.append(event(), [put("taken")])
    outcomes: dict[int, str] = {}

    async def write(number: int) -> None:
        try:
            if number % 3:
                await engine.append(event(number), [put(f"o{number}")])
            else:
                await engine.append(event(number), [put("taken", expect=0)])
            outcomes[number] = "written"
        except Conflict:
            outcomes[number] = "conflict"

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(write, number)
    assert outcomes == {number: "written" if number % 3 else "conflict" for number in range(30)}
    with engine.read() as read:
        assert read.last_position() == 21


@in_trio
async def test_members_of_a_batch_see_those_before_them(opened: Open) -> None:
    engine = opened()
    revisions: list[int] = []

    async def write(number: int, turns: int) -> None:
        for _ in range(turns):  # so that they are queued one after the other, whatever order trio runs them in
            await trio.lowlevel.checkpoint()
        commit = await engine.append(event(number), [put("a", expect=number)])
        revisions.extend(commit.revisions)

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(write, number, number)
    assert sorted(revisions) == [1, 2, 3, 4, 5]


@in_trio
async def test_one_append_may_change_an_object_twice(opened: Open) -> None:
    engine = opened()
    await engine.append(event(1), [put("a", expect=0), put("a", "y", expect=1), gone("b", expect=0)])
    with engine.read() as read:
        assert [(c.revision, c.previous) for c in read.changes(0, 9)] == [(1, 0), (2, 1), (3, 0)]
    assert state_of(engine, "a") == 2
    await engine.append(event(2), [gone("a", expect=2), put("a", "z", expect=0)])
    assert state_of(engine, "a") == 5


@in_trio
async def test_listeners_hear_of_every_commit_in_order_and_before_the_append_returns(opened: Open) -> None:
    engine = opened()
    heard: list[Entry] = []
    engine.subscribe(heard.extend)

    async def write(number: int) -> None:
        commit = await engine.append(event(number), [put(f"o{number}")])
        assert any(entry.event.position == commit.position for entry in heard)

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(write, number)
    assert [entry.event.position for entry in heard] == list(range(1, 51))
    assert [entry.changes[0].revision for entry in heard] == list(range(1, 51))


@in_trio
async def test_a_note_reaches_the_log_without_anybody_waiting(opened: Open) -> None:
    engine = opened()
    engine.note(event(1, "get"))
    engine.note(event(2, "list"))
    written = trio.Event()
    engine.subscribe(lambda _: written.set())
    if not isinstance(engine, MemoryEngine):
        await written.wait()
    with engine.read() as read:
        assert [found.verb for found in read.events(0, 10)] == ["get", "list"]
        assert read.head() == 0


@in_trio
async def test_notes_are_in_the_log_once_it_says_so(opened: Open) -> None:
    engine = opened()
    await engine.noted()
    for number in range(1, 4):
        engine.note(event(number, "get"))
        await engine.noted()
        with engine.read() as read:
            assert read.last_position() == number


@in_trio
async def test_listeners_hear_of_appends_and_counters_of_all_events(opened: Open) -> None:
    engine = opened()
    heard: list[Entry] = []
    counted: list[int] = []
    engine.subscribe(heard.extend)
    engine.subscribe_counts(counted.append)
    engine.note(event(1, "get"))
    await engine.append(event(2), [put("a")])
    engine.note(event(3, "get"))
    await engine.noted()
    assert [entry.event.position for entry in heard] == [2]
    assert sum(counted) == 3


@in_trio
async def test_events_are_in_order_of_append_and_note_together(opened: Open) -> None:
    engine = opened()
    engine.note(event(1))
    await engine.append(event(2), [put("a")])
    engine.note(event(3))
    await engine.append(event(4), [put("b")])
    with engine.read() as read:
        assert [found.audit_id[:8] for found in read.events(0, 10)] == [f"{n:08x}" for n in (1, 2, 3, 4)]


@in_trio
async def test_a_cancelled_append_still_happens(opened: Open) -> None:
    engine = opened()
    with trio.CancelScope() as scope:
        scope.cancel()
        commit = await engine.append(event(), [put("a")])
    assert commit == Commit(1, (1,))
    assert state_of(engine, "a") == 1


@in_trio
async def test_a_body_that_is_too_large_or_not_in_list_form_is_refused_and_nothing_else_suffers(opened: Open) -> None:
    engine = opened()
    large = put("large", "x" * BODY_BYTES_MAX)
    with pytest.raises(ValueError, match="at most"):
        await engine.append(event(1), [put("a"), large])
    with pytest.raises(AssertionError, match="begins with"):
        await engine.append(event(2), [put("a"), put("b").__class__(key("b"), b'{"kind":"x"}')])
    assert await engine.append(event(3), [put("a", expect=0)]) == Commit(1, (1,))


@in_trio
async def test_more_than_a_transaction_holds_is_split_in_order(opened: Open) -> None:
    engine = opened()
    text = "x" * (1 << 20)
    commits = []

    async def write(number: int) -> None:
        commits.append(await engine.append(event(number), [put(f"o{number}", text)]))

    async with trio.open_nursery() as nursery:
        for number in range(24):
            nursery.start_soon(write, number)
    assert sorted(commit.position for commit in commits) == list(range(1, 25))
    with engine.read() as read:
        assert (read.head(), read.last_position()) == (24, 24)


@in_trio
async def test_names_longer_than_a_table_key_are_kept_apart(opened: Open) -> None:
    engine = opened()
    name = "n" * 600
    await engine.append(event(1), [put(name + "a", expect=0), put(name + "b", expect=0)])
    with pytest.raises(Conflict):
        await engine.append(event(2), [put(name + "a", expect=0)])
    await engine.append(event(3), [put(name + "b", expect=2)])


@in_trio
async def test_the_log_can_be_followed_from_any_revision(opened: Open) -> None:
    engine = opened()
    for number in range(1, 21):
        await engine.append(event(number), [put(f"o{number}"), put("shared", str(number))])
    with engine.read() as read:
        for after in (0, 1, 17, 39, 40, 99):
            assert [change.revision for change in read.changes(after, 40)] == list(range(after + 1, 41))
        assert [found.position for found in read.events(15, 3)] == [16, 17, 18]


@in_trio
async def test_tables_equal_a_fold_of_the_log(opened: Open) -> None:
    engine = opened()
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)

    async def write(count: int) -> None:
        for _ in range(count):
            name = f"o{chance.randrange(12)}"
            change = gone(name) if chance.random() < 0.3 else put(name, "x" * chance.randrange(200))
            for _ in range(chance.choice((0, 0, 0, 1, 2, 3 * NOTES_A_SLICE))):
                user = chance.choice(("alice", "b\ud800b", "u" * 2000))
                other = chance.choice((None, User("carol")))
                of = {"resource": "configmaps", "name": chance.choice(("", name, "n" * 2000)), "impersonated": other}
                engine.note(event(chance.randrange(1 << 30), "get", user, **of))
            await engine.append(event(chance.randrange(1 << 30)), [change])

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(write, 25)
    again = MemoryEngine(folds())
    with engine.read() as read:
        refold(engine, again, folds(), 0, read.last_position())
        for table in (table for fold in folds() for table in fold.tables):
            stored = list(read.scan(table, b"", b"\xff" * 512))
            assert stored == [(key, again.tables[table].rows[key]) for key in again.tables[table].keys], table
            assert list(read.scan(table, b"", b"\xff" * 500, reverse=True)) == stored[::-1]
        assert len(list(entries(read, 0, 1 << 30))) == read.last_position()
        assert check_chain(read, read.log_head()) == (read.head(), (0, 0))


@in_trio
async def test_an_event_that_was_noted_can_be_noted_again(opened: Open) -> None:
    engine = opened()
    sent = event(1, "get")
    engine.note(sent)
    engine.note(sent)
    await engine.noted()
    with engine.read() as read:
        assert [found.position for found in read.events(0, 9)] == [1, 2]


@in_trio
async def test_a_scan_is_half_open_in_both_directions(opened: Open) -> None:
    engine = opened()
    for name in "abcd":
        await engine.append(event(), [put(name)])
    rows = [key(name).encode() for name in "abcd"]
    with engine.read() as read:
        for low in range(4):
            for high in range(4):
                expected = rows[low:high]
                assert [k for k, _ in read.scan("state", rows[low], rows[high])] == expected
                assert [k for k, _ in read.scan("state", rows[low], rows[high], reverse=True)] == expected[::-1]
                assert read.count("state", rows[low], rows[high]) == len(expected)
                last = read.last("state", rows[low], rows[high])
                assert (last[0] if last else None) == (expected[-1] if expected else None)


@in_trio
async def test_the_first_rows_of_a_range_end_where_they_should(opened: Open) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    engine = opened()
    for number in rng.sample(range(200), 150):
        await engine.append(event(), [put(f"{number:03}", "x" * rng.randrange(300))])
    with engine.read() as read:
        everything = list(read.scan("state", b"", b"\xff"))
        for _ in range(300):
            low, high = (
                (b"", b"\xff") if rng.random() < 0.2 else sorted(rng.choices([key for key, _ in everything], k=2))
            )
            rows_max, bytes_max = rng.choice([1, 31, 32, 33, 64, 70, 500]), rng.choice([1, 5000, 20_000, 1 << 20])
            within = [row for row in everything if low <= row[0] < high]
            expected = []
            while within[len(expected) :] and len(expected) < rows_max and sum(map(len, expected)) < bytes_max:
                expected.append(within[len(expected)][1])
            found, last = read.rows_in_place("state", low, high, rows_max, bytes_max)
            assert list(map(bytes, found)) == expected
            assert last == (within[len(expected) - 1][0] if len(expected) < len(within) else None)


@in_trio
async def test_an_import_brings_its_own_revisions(opened: Open) -> None:
    engine = opened()
    commits = engine.append_imported(
        [
            Entry(event(1), (put("old", revision=3), put("older", revision=2))),
            Entry(event(2, "get"), ()),
            Entry(event(3), (put("old", "new", revision=890), gone("older", revision=891))),
        ]
    )
    assert commits == [Commit(1, (3, 2)), Commit(2, ()), Commit(3, (890, 891))]
    with engine.read() as read:
        assert read.head() == 891
        assert [(c.revision, c.previous) for c in read.changes(0, 900)] == [(2, 0), (3, 0), (890, 3), (891, 2)]
    assert await engine.append(event(4), [put("mine")]) == Commit(4, (892,))


@pytest.mark.parametrize("revisions", [(5, 5), (3,), (0,), (-1,)])
@in_trio
async def test_an_import_with_a_revision_twice_is_refused_whole(opened: Open, revisions: tuple[int, ...]) -> None:
    engine = opened()
    engine.append_imported([Entry(event(1), (put("a", revision=3),))])
    with pytest.raises(ValueError, match="revision"):
        engine.append_imported([Entry(event(2), (put("b", revision=revision),)) for revision in (9, *revisions)])
    assert await engine.append(event(4), [put("b", expect=0)]) == Commit(2, (4,))


@in_trio
async def test_a_failing_import_leaves_no_trace(opened: Open) -> None:
    engine = opened()
    with pytest.raises(AssertionError):
        engine.append_imported(
            [
                Entry(event(1), (put("a", revision=3),)),
                Entry(event(2), (put("b").__class__(key("b"), b"{}", revision=4),)),
            ]
        )
    assert await engine.append(event(3), [put("a", expect=0)]) == Commit(1, (1,))


@in_trio
async def test_a_closed_log_says_so(opened: Open) -> None:
    engine = opened()
    await engine.append(event(), [put("a")])
    engine.close()
    engine.close()
    with pytest.raises(LogClosed):
        await engine.append(event(), [put("b")])
    with pytest.raises(LogClosed):
        engine.note(event())
    with pytest.raises(LogClosed), engine.read():
        pass

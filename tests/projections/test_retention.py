"""Retention: after any pass, every answer is what it was before, or says that the past is gone."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.api import Compacted, Damaged
from ledger.log.chain import SEGMENT
from ledger.log.event import Change, Event
from ledger.log.sequencer import Head
from ledger.projections.audit import object_of
from ledger.projections.retention import Policy, Sweep, sweep
from ledger.projections.store import Store
from ledger.replay.verify import check_chain, verify
from tests.log.samples import SECOND, event, gone, in_trio, key, put

RESOURCES = ("configmaps", "leases", "secrets")
NAMES = "abcd"
HOUR = 3600 * SECOND


def told(ask: Callable[[], Any]) -> Any:
    """What a question gives, or Compacted."""
    try:
        return ask()
    except Compacted:
        return Compacted


class Twins:
    """Two stores with the same log, one of which is swept."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.whole, self.swept = Store.memory(), Store.open(directory, durability="relaxed")
        self.chance = random.Random(seed)
        self.at_s = 1

    async def live(self, requests: int) -> None:
        """Requests at one second each, a third of them reads; a tenth of the writes change several objects."""
        for _ in range(requests):
            self.at_s += self.chance.randrange(3)
            if self.chance.random() < 0.33:
                read = event(
                    self.at_s, "get", self.chance.choice(("alice", "bob")), resource="leases", namespace="ns", name="a"
                )
                self.whole.note(read)
                self.swept.note(read)
                continue
            changes = [self.change() for _ in range(self.chance.choice((1,) * 9 + (4,)))]
            changes = list({change.key: change for change in changes}.values())
            where = changes[0].key
            wrote = event(self.at_s, "update", resource=where.resource, namespace="ns", name=where.name)
            commits = [await store.append(wrote, changes) for store in (self.whole, self.swept)]
            assert commits[0] == commits[1]
        await self.swept.noted()

    def change(self) -> Change:
        name, resource = self.chance.choice(NAMES), self.chance.choice(RESOURCES)
        if self.chance.random() < 0.25:
            return gone(name, resource=resource)
        return put(name, str(self.chance.random()), resource=resource, labels={"l": self.chance.choice("xy")})

    def random_policy(self) -> Policy:
        def age() -> int:
            return self.chance.randrange(self.at_s + 2) * SECOND

        some = self.chance.sample(RESOURCES, self.chance.randrange(3))
        return Policy(
            {GroupResource("", one): age() for one in some},
            age() if self.chance.random() < 0.3 else None,
            age() if self.chance.random() < 0.5 else None,
            self.chance.randrange(20_000) if self.chance.random() < 0.2 else None,
        )

    def compare(self) -> None:
        self.compare_views()
        self.compare_histories()
        self.compare_requests()

    def compare_views(self) -> None:
        with self.swept.read() as read:
            horizons = read.retained().horizons
        for revision in range(self.whole.head() + 1):
            for resource in (GroupResource("", one) for one in RESOURCES):
                for ask in (list_of, count_of, get_of):
                    wanted = ask(self.whole, revision, resource)
                    found = told(lambda ask=ask, r=revision, of=resource: ask(self.swept, r, of))  # type: ignore[misc]
                    below = revision < min(horizons.get(f"/{resource.resource}", 0), self.whole.head())
                    assert found == (Compacted if below else wanted), (revision, resource)

    def compare_histories(self) -> None:
        """Versions as far as they are kept, newest first, and from each revision what a watch would tell."""
        for resource in RESOURCES:
            for name in NAMES:
                where = key(name, resource=resource)
                every, kept = list(self.whole.versions(where)), list(self.swept.versions(where))
                assert kept == every[: len(kept)]
        for revision in range(self.whole.head() + 1):
            assert self.swept.change(revision) in (None, self.whole.change(revision))

    def compare_requests(self) -> None:
        every = {one.position: one for one in self.whole.events()}
        kept = {one.position: one for one in self.swept.events()}
        assert kept.items() <= every.items() and max(kept) == max(every)
        asks: tuple[Callable[[Store], Any], ...] = (
            lambda store: store.events_of_user("bob"),
            lambda store: store.events_with_audit_id("0000"),
            lambda store: store.events_between(0, HOUR),
            lambda store: store.events_between(0, HOUR, reverse=True),
        )
        for ask in asks:
            assert list(ask(self.swept)) == [one for one in ask(self.whole) if one.position in kept]
        self.compare_events_of(key("a", resource="leases"), kept)
        assert self.swept.span() == self.whole.span()
        for at_s in range(self.at_s + 2):
            self.compare_moment(at_s * SECOND)

    def compare_events_of(self, where: Key, kept: dict[int, Event]) -> None:
        """Events that name the object, or still have a change of it."""
        found = {one.position for one in self.swept.events_of_object(where)}
        wanted = {one.position for one in self.whole.events_of_object(where)} & kept.keys()
        changed = {one.revision for one in self.swept.versions(where)}
        named = {one for one in wanted if object_of(kept[one]) == where}
        assert found == {one for one in wanted if one in named or changed & {*kept[one].revisions}}

    def compare_moment(self, time: int) -> None:
        """A time may resolve to an earlier revision, at which everything that can be told is the same."""
        wanted, found = self.whole.revision_at(time), self.swept.revision_at(time)
        assert found <= wanted
        for resource in (GroupResource("", one) for one in RESOURCES):
            answer = told(lambda of=resource: bodies(self.swept, found, of))  # type: ignore[misc]
            assert answer in (Compacted, bodies(self.whole, wanted, resource))


def list_of(store: Store, revision: int, resource: GroupResource) -> Any:
    with store.view(revision) as view:
        return [(one.key, one.revision, one.body, one.labels) for one in view.scan(resource, "ns")]


def count_of(store: Store, revision: int, resource: GroupResource) -> Any:
    with store.view(revision) as view:
        return view.count(resource)


def get_of(store: Store, revision: int, resource: GroupResource) -> Any:
    with store.view(revision) as view:
        return view.get(key("a", resource=resource.resource))


def bodies(store: Store, revision: int, resource: GroupResource) -> Any:
    with store.view(revision) as view:
        return [one.body for one in view.scan(resource)]


@in_trio
async def test_after_any_pass_every_answer_is_the_same_or_says_the_past_is_gone(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    for number in range(4):
        twins = Twins(tmp_path / str(number), seed + number)
        dropped = 0
        for _ in range(4):
            await twins.live(40)
            one = Sweep(twins.swept, twins.random_policy(), twins.at_s * SECOND)
            for rows in one.steps():
                await twins.swept.engine.drop(rows)
                if twins.chance.random() < 0.1:
                    break  # as if it had been killed: the next pass goes on
            dropped += one.dropped.changes + one.dropped.events
            twins.compare()
        report = verify(twins.swept)
        assert report.damage is None
        with twins.whole.read() as read:
            assert Head.decode(read.get("meta", b"head")).link.hex() == report.link
        twins.swept.close()
        with Store.open(tmp_path / str(number)) as again:
            assert verify(again).damage is None


@in_trio
async def test_watches_from_before_the_horizon_are_told_so_and_later_ones_miss_nothing(tmp_path: Path) -> None:
    twins = Twins(tmp_path, 1)
    await twins.live(150)
    leases = GroupResource("", "leases")
    await sweep(twins.swept, Policy({leases: twins.at_s * SECOND // 2}), twins.at_s * SECOND)
    with twins.swept.read() as read:
        horizon = read.horizon(leases)
    assert 0 < horizon < twins.whole.head()
    for revision in range(twins.whole.head()):
        with twins.swept.watch(leases, "", revision) as watcher, twins.whole.watch(leases, "", revision) as other:
            if revision < horizon:
                with pytest.raises(Compacted) as raised:
                    await watcher.next_batch()
                assert raised.value.oldest == horizon
                continue
            with trio.move_on_after(0.001):
                found, wanted = await watcher.next_batch(), await other.next_batch()
                assert [(one.change, one.old) for one in found] == [(one.change, one.old) for one in wanted]
    twins.swept.close()


@in_trio
async def test_segments_of_which_nothing_is_left_go_as_a_whole_and_the_chain_goes_on(tmp_path: Path) -> None:
    store = Store.open(tmp_path, durability="relaxed")
    await store.append(event(1), [put("kept")])
    for number in range(2, 4 * SEGMENT):
        store.note(event(number, "get", at_s=1))
    await store.noted()
    links = verify(store).link
    dropped = await sweep(store, Policy(requests=0), 10 * SECOND)
    assert dropped == (4 * SEGMENT - 3, 0)
    with store.read() as read:
        assert read.count("events", b"", b"\xff" * 9) == SEGMENT + SEGMENT - 1  # the first with a change, and the last
    report = verify(store, head_link=links)
    assert report.damage is None and report.dropped == dropped
    assert [one.position for one in store.events()] == [1, 4 * SEGMENT - 1]
    await store.append(event(9), [put("kept", expect=1)])
    assert verify(store, head_link=links).damage is None
    store.close()


@pytest.mark.parametrize(
    ("table", "row", "becomes"),
    [
        ("events", 40, None),  # an event behind what was swept
        ("events", 40, "digest"),
        ("events", 5, None),  # a digest within a segment that has more
        ("events", 5, "other"),
        ("changes", 1, None),
        ("changes", 1, "digest"),  # the hash of nothing
    ],
)
@in_trio
async def test_what_nobody_dropped_is_still_missed(tmp_path: Path, table: str, row: int, becomes: str | None) -> None:
    store = Store.open(tmp_path, durability="relaxed")
    for number in range(1, 61):
        await store.append(event(number), [put("a", str(number))] if number % 30 == 1 else [])
    await sweep(store, Policy(requests=30 * SECOND), 60 * SECOND)
    with store.read() as read:
        assert verify(store).damage is None
        whole = read.get(table, row.to_bytes(8, "big")) or b""
    value = {None: None, "digest": whole[:32], "other": b"x" * 32}[becomes]
    await store.engine.drop({table: {row.to_bytes(8, "big"): value}})
    with store.read() as read, pytest.raises(Damaged):
        check_chain(read, Head.decode(read.get("meta", b"head")))
    store.close()


@in_trio
async def test_the_oldest_requests_go_until_the_rest_is_small_enough(tmp_path: Path) -> None:
    store = Store.open(tmp_path, durability="relaxed")
    for number in range(1, 2001):
        store.note(event(number, "get", request_body=b"x" * 300))
    await store.noted()
    before = store.engine.table_bytes("events")
    await sweep(store, Policy(events_bytes=before // 2), 0)
    kept: list[Event] = list(store.events())
    assert 500 < len(kept) < 1500 and kept[-1].position == 2000
    assert [one.position for one in kept] == list(range(kept[0].position, 2001))
    assert store.engine.table_bytes("events") < 0.75 * before
    assert (await sweep(store, Policy(events_bytes=before), 0)) == (0, 0)
    store.close()

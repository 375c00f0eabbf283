"""Watching: gap-free and in order from any revision, whatever the ring still holds."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from ledger.apimachinery.http import Shared
from ledger.apimachinery.resource import GroupResource
from ledger.projections.store import Store
from ledger.projections.watch import Watcher, WatchItem
from tests.log.samples import CONFIGMAPS, event, gone, in_trio, key, put

SECRETS = GroupResource("", "secrets")


def told(items: list[WatchItem]) -> list[str]:
    return [f"{item.kind} {item.key.name}@{item.revision}" for item in items]


async def all_upto(watcher: Watcher, revision: int) -> list[WatchItem]:
    items: list[WatchItem] = []
    while not items or items[-1].revision < revision:
        items += await watcher.next_batch()
    return items


@in_trio
async def test_a_watch_tells_what_happened_after_its_revision() -> None:
    with Store.memory() as store:
        await store.append(event(1), [put("before")])
        with store.watch(CONFIGMAPS, "", 1) as watcher:
            await store.append(event(2), [put("a", "1"), put("other", resource="secrets")])
            await store.append(event(3), [put("a", "2")])
            await store.append(event(4), [gone("a")])
            assert told(await watcher.next_batch()) == ["created a@2", "updated a@4", "deleted a@5"]


@in_trio
async def test_an_item_has_the_state_before_and_after() -> None:
    def body(revision: int, text: str) -> bytes:
        return b'{"metadata":{"resourceVersion":"%d","name":"a"},"data":{"text":"%b"}}' % (revision, text.encode())

    with Store.memory() as store, store.watch(CONFIGMAPS, "", 0) as watcher:
        await store.append(event(1), [put("a", "1", labels={"app": "old"})])
        await store.append(event(2), [put("a", "2", labels={"app": "new"})])
        await store.append(event(3), [gone("a")])
        created, updated, deleted = await watcher.next_batch()
        assert created.old is None and created.departed is None
        assert created.stored is not None and created.stored.body == body(1, "1")
        assert updated.stored is not None and updated.stored.body == body(2, "2")
        assert updated.old is not None and (updated.old.labels, updated.old.body) == ({"app": "old"}, body(1, "1"))
        # What leaves a selection is shown as it was, with the revision of its leaving.
        assert updated.departed is not None and updated.departed.body == body(2, "1")
        assert deleted.stored == deleted.departed and deleted.stored is not None
        assert (deleted.stored.revision, deleted.stored.body) == (3, body(3, "2"))


@in_trio
async def test_watchers_of_a_resource_share_items_and_what_is_kept_with_them() -> None:
    with Store.memory() as store, store.watch(CONFIGMAPS, "", 0) as one, store.watch(CONFIGMAPS, "ns", 0) as other:
        await store.append(event(1), [put("a")])
        (mine,), (yours,) = await one.next_batch(), await other.next_batch()
        mine.frames["json"] = b"{}"
        assert yours.frames == {"json": b"{}"}


@in_trio
async def test_a_watcher_waits_until_something_of_its_kind_is_committed() -> None:
    with Store.memory() as store:
        heard: dict[str, list[str]] = {}

        async def listen(name: str, watcher: Watcher) -> None:
            with watcher:
                heard[name] = told(await watcher.next_batch())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen, "all", store.watch(CONFIGMAPS, "", 0))
            nursery.start_soon(listen, "ns2", store.watch(CONFIGMAPS, "ns2", 0))
            nursery.start_soon(listen, "secrets", store.watch(SECRETS, "", 0))
            nursery.start_soon(listen, "everything", store.follow(0))
            await trio.testing.wait_all_tasks_blocked()
            assert heard == {}
            await store.append(event(1), [put("a")])
            await trio.testing.wait_all_tasks_blocked()
            assert heard == {"all": ["created a@1"], "everything": ["created a@1"]}
            await store.append(event(2), [put("s", resource="secrets")])
            await store.append(event(3), [put("b", namespace="ns2")])
        assert heard["secrets"] == ["created s@2"]
        assert heard["ns2"] == ["created b@3"]


@in_trio
async def test_waiting_can_be_cancelled_without_loss_and_leaves_a_bookmark() -> None:
    with Store.memory() as store, store.watch(CONFIGMAPS, "ns", 0) as watcher:
        with trio.move_on_after(0):
            await watcher.next_batch()
        await store.append(event(1), [put("elsewhere", namespace="other")])
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                with trio.CancelScope() as scope:
                    waiting.append(scope)
                    await watcher.next_batch()

            waiting: list[trio.CancelScope] = []
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            await store.append(event(2), [put("elsewhere", "2", namespace="other")])
            waiting[0].cancel()
        assert watcher.revision == 2
        await store.append(event(3), [put("a")])
        with trio.CancelScope() as cancelled:
            cancelled.cancel()
            await watcher.next_batch()
        assert watcher.revision == 2
        assert told(await watcher.next_batch()) == ["created a@3"]


@in_trio
async def test_who_falls_behind_the_ring_reads_on_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.projections.watch.RING_ITEMS", 8)
    monkeypatch.setattr("ledger.projections.watch.SLICE_CHANGES", 5)
    with Store.memory() as store, store.watch(CONFIGMAPS, "", 0) as slow:
        for number in range(1, 101):
            await store.append(event(number), [put("a", str(number)), put("noise", resource="secrets")])
        assert len(store._hub.rings[CONFIGMAPS].items) <= 16
        items = await all_upto(slow, 199)
        assert [item.revision for item in items] == list(range(1, 200, 2))


@in_trio
async def test_a_ring_is_bounded_by_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.projections.watch.RING_BYTES", 10_000)
    with Store.memory() as store, store.watch(CONFIGMAPS, "", 0) as slow:
        for number in range(1, 51):
            await store.append(event(number), [put("a", "x" * 1000)])
            assert store._hub.rings[CONFIGMAPS].body_bytes < 22_000
        assert [item.revision for item in await all_upto(slow, 50)] == list(range(1, 51))


@in_trio
async def test_a_resource_that_nobody_watches_keeps_nothing_in_memory() -> None:
    with Store.memory() as store:
        watchers = [store.watch(CONFIGMAPS, "", 0) for _ in range(2)]
        await store.append(event(1), [put("a")])
        watchers[0].close()
        watchers[0].close()
        assert CONFIGMAPS in store._hub.rings
        watchers[1].close()
        assert store._hub.rings == {}
        with store.watch(CONFIGMAPS, "", 0) as late:
            assert told(await late.next_batch()) == ["created a@1"]


@in_trio
async def test_closing_the_store_ends_watches() -> None:
    store = Store.memory()
    batches: list[list[WatchItem]] = []

    async def listen() -> None:
        with store.watch(CONFIGMAPS, "", 0) as watcher:
            batches.append(await watcher.next_batch())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await trio.testing.wait_all_tasks_blocked()
        store.close()
    assert batches == [[]]


def on_disk(path: Path) -> Store:
    return Store.open(path, durability="relaxed")


@pytest.mark.parametrize("opened", [on_disk, lambda _: Store.memory()], ids=["lmdb", "memory"])
@in_trio
async def test_every_watcher_sees_every_change_once_and_in_order(
    opened: Callable[[Path], Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.projections.watch.RING_ITEMS", 10)
    monkeypatch.setattr("ledger.projections.watch.SLICE_CHANGES", 7)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    places = [("configmaps", ns) for ns in ("", "a", "b")] + [("secrets", ""), ("", "")]
    heard: dict[int, list[int]] = {}
    expected: dict[int, list[int]] = {}
    last = 200

    async def listen(number: int, resource: str, namespace: str, after: int, started: trio.Event) -> None:
        await started.wait()
        found = heard[number] = []
        watcher = store.watch(GroupResource("", resource), namespace, after) if resource else store.follow(after)
        with watcher:
            while not found or found[-1] < expected[number][-1]:
                with trio.move_on_after(chance.choice([0, 0.001, 1])):
                    found += [item.revision for item in await watcher.next_batch()]
                for _ in range(chance.randrange(30)):
                    await trio.lowlevel.checkpoint()

    log = [(chance.choice(["configmaps", "secrets"]), chance.choice("ab")) for _ in range(last)]
    log[-2:] = [("configmaps", "a"), ("configmaps", "b")]
    log[-3] = ("secrets", "a")
    with opened(tmp_path) as store:
        starts = [trio.Event() for _ in range(last)]
        async with trio.open_nursery() as nursery:
            for number in range(30):
                resource, namespace = chance.choice(places)
                begun = chance.randrange(last - 4)
                after = chance.randrange(begun + 1)
                expected[number] = [
                    revision
                    for revision, (r, ns) in enumerate(log, 1)
                    if revision > after and resource in ("", r) and namespace in ("", ns)
                ]
                nursery.start_soon(listen, number, resource, namespace, after, starts[begun])
            for number, (resource, namespace) in enumerate(log):
                starts[number].set()
                await store.append(event(number), [put("o", str(number), resource=resource, namespace=namespace)])
    assert heard == expected


class Follower:
    """A watch that has commits pushed; `keeps_up` says of each push whether its peer has all of it."""

    def __init__(self, store: Store, namespace: str = "", after: int = 0, group: str = "same") -> None:
        self.watcher = store.watch(CONFIGMAPS, namespace, after)
        self.group, self.heard, self.pushes = group, list[int](), list[Shared]()
        self.keeps_up: Callable[[], bool] = lambda: True
        self.upto = 0

    async def run(self, upto: int) -> None:
        self.upto = upto
        with self.watcher:
            while not self.heard or self.heard[-1] < upto:
                behind, chunk = self.watcher.behind, render(self.watcher.take())
                if chunk is not None:
                    self.heard += revisions(chunk)
                elif not behind:
                    with self.scope():
                        await self.watcher.follow(self.group, render, self.push)
                await trio.lowlevel.checkpoint()

    def scope(self) -> trio.CancelScope:
        return trio.CancelScope()

    def push(self, chunk: Shared) -> bool:
        self.pushes.append(chunk)
        self.heard += revisions(chunk)
        return self.keeps_up() and self.heard[-1] < self.upto


def render(items: list[WatchItem]) -> Shared | None:
    return Shared(b" ".join(b"%d" % item.revision for item in items)) if items else None


def revisions(chunk: Shared) -> list[int]:
    return [int(text) for text in chunk.data.split()]


@in_trio
async def test_what_is_pushed_is_made_once_for_all_in_a_group() -> None:
    with Store.memory() as store:
        followers = [Follower(store), Follower(store), Follower(store, group="other"), Follower(store, "ns2")]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.deliver)
            await trio.testing.wait_all_tasks_blocked()
            async with trio.open_nursery() as following:
                for follower, upto in zip(followers, [3, 3, 3, 2], strict=True):
                    following.start_soon(follower.run, upto)
                await trio.testing.wait_all_tasks_blocked()
                await store.append(event(1), [put("a"), put("b", namespace="ns2")])
                await trio.testing.wait_all_tasks_blocked()
                await store.append(event(2), [put("a", "2")])
            nursery.cancel_scope.cancel()
        assert [follower.heard for follower in followers] == [[1, 2, 3], [1, 2, 3], [1, 2, 3], [2]]
        one, alike, other, _ = [follower.pushes for follower in followers]
        assert [each is same for each, same in zip(one, alike, strict=True)] == [True, True]
        assert [each is same for each, same in zip(one, other, strict=True)] == [False, False]
        assert store._hub.groups == {}


@in_trio
async def test_who_does_not_keep_up_leaves_the_group_and_the_others_do_not_notice() -> None:
    with Store.memory() as store:
        slow, quick = Follower(store), Follower(store)
        slow.keeps_up = lambda: False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.deliver)
            await trio.testing.wait_all_tasks_blocked()
            async with trio.open_nursery() as following:
                following.start_soon(slow.run, 5)
                following.start_soon(quick.run, 5)
                for number in range(1, 6):
                    await trio.testing.wait_all_tasks_blocked()
                    await store.append(event(number), [put("a", str(number))])
            nursery.cancel_scope.cancel()
        assert slow.heard == quick.heard == [1, 2, 3, 4, 5]


@in_trio
async def test_a_follower_that_is_cancelled_has_missed_nothing_and_can_say_how_far_it_came() -> None:
    with Store.memory() as store, store.watch(CONFIGMAPS, "ns", 0) as watcher:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.deliver)
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(0.001):
                async with trio.open_nursery() as inner:
                    inner.start_soon(watcher.follow, "g", render, lambda chunk: True)
                    await store.append(event(1), [put("elsewhere", namespace="other")])
                    await trio.sleep_forever()
            assert watcher.revision == 1
            # One that leaves before anything is pushed.
            with trio.CancelScope() as scope:
                scope.cancel()
                async with trio.open_nursery() as inner:
                    inner.start_soon(watcher.follow, "g", render, lambda chunk: True)
            await store.append(event(2), [put("a")])
            assert (watcher.revision, told(watcher.take())) == (1, ["created a@2"])
            nursery.cancel_scope.cancel()


@in_trio
async def test_a_bug_in_rendering_fails_the_watch_and_not_the_others() -> None:
    def broken(items: list[WatchItem]) -> Shared | None:
        raise ValueError("a bug")

    with Store.memory() as store, store.watch(CONFIGMAPS, "", 0) as watcher:
        healthy = Follower(store)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.deliver)
            await trio.testing.wait_all_tasks_blocked()
            async with trio.open_nursery() as following:
                following.start_soon(watcher.follow, "broken", broken, lambda chunk: True)
                following.start_soon(healthy.run, 1)
                await trio.testing.wait_all_tasks_blocked()
                await store.append(event(1), [put("a")])
            assert watcher.revision == 0  # woken, to find out for itself
            nursery.cancel_scope.cancel()
        assert healthy.heard == [1]


@in_trio
async def test_closing_the_store_wakes_who_follows() -> None:
    store = Store.memory()
    with store.watch(CONFIGMAPS, "", 0) as watcher:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.deliver)
            await trio.testing.wait_all_tasks_blocked()
            async with trio.open_nursery() as following:
                following.start_soon(watcher.follow, "g", render, lambda chunk: True)
                await trio.testing.wait_all_tasks_blocked()
                store.close()
            assert watcher.closed
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("delivering", [True, False])
@pytest.mark.parametrize("opened", [on_disk, lambda _: Store.memory()], ids=["lmdb", "memory"])
@in_trio
async def test_every_follower_hears_every_change_once_and_in_order(
    opened: Callable[[Path], Store], delivering: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.projections.watch.RING_ITEMS", 10)
    monkeypatch.setattr("ledger.projections.watch.SLICE_CHANGES", 7)
    monkeypatch.setattr("ledger.projections.watch.PUSHES_A_TURN", 3)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)

    class Restless(Follower):
        def scope(self) -> trio.CancelScope:
            return trio.move_on_after(chance.choice([0, 0.001, 1]))

    log = [chance.choice("ab") for _ in range(150)]
    log[-2:] = ["a", "b"]
    with opened(tmp_path) as store:
        followers = []
        for _ in range(40):
            one = Restless(store, chance.choice(["", "a", "b"]), chance.randrange(100), chance.choice("xyz"))
            one.keeps_up = lambda: chance.random() < 0.7
            followers.append((one, one.watcher.after))
        async with trio.open_nursery() as nursery:
            if delivering:
                nursery.start_soon(store.deliver)
            await trio.testing.wait_all_tasks_blocked()
            async with trio.open_nursery() as following:
                for one, _ in followers:
                    following.start_soon(one.run, 149 if one.watcher._namespace == "a" else 150)
                for number, namespace in enumerate(log):
                    await store.append(event(number), [put("o", str(number), namespace=namespace)])
            nursery.cancel_scope.cancel()
        for one, after in followers:
            namespace = one.watcher._namespace
            expected = [at for at, ns in enumerate(log, 1) if at > after and namespace in ("", ns)]
            assert one.heard == expected


@in_trio
async def test_keys_of_watched_items_are_whole(tmp_path: Path) -> None:
    with Store.memory() as store:
        await store.append(event(1), [put("n" * 600)])
        with store.watch(CONFIGMAPS, "ns", 0) as watcher:
            (item,) = await watcher.next_batch()
            assert item.key == key("n" * 600)

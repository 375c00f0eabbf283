"""Slices of lists that are kept: whoever is served one sees what reading would have shown."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from ledger.log.event import Change
from ledger.projections import slices as kept
from ledger.projections import view as views
from ledger.projections.api import Place, Stored
from ledger.projections.past_view import PastView
from ledger.projections.store import Store
from tests.log.samples import CONFIGMAPS, event, gone, in_trio, put


def made(number: int, name: str, namespace: str, text: str = "", version: str = "v1") -> Change:
    """With a uid as Kubernetes makes them."""
    change = put(name, text, namespace=namespace)
    change.uid, change.api_version = f"{number:08x}-0000-4000-8000-000000000000", version
    return change


def in_capitals(stored: Stored) -> bytes:
    return stored.body.upper()


@pytest.fixture
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "SLICE_BYTES", 600)
    monkeypatch.setattr(kept, "SLICE_BYTES_MIN", 1)


class List:
    """A list that is read slice by slice, at one revision."""

    def __init__(self, store: Store, namespace: str, revision: int | None, rows_max: int) -> None:
        self.store, self.namespace, self.revision, self.rows_max = store, namespace, revision, rows_max
        self.after: Place | None = None
        self.found = b""
        self.complete = False

    def go_on(self) -> None:
        with self.store.view(self.revision) as view:
            self.revision = view.revision
            part = view.joined(CONFIGMAPS, self.namespace, self.after, "v1", in_capitals, self.rows_max)
        assert part.rows <= self.rows_max
        self.found += part.bodies
        self.after, self.complete = part.last, part.last is None

    def expected(self) -> bytes:
        with self.store.view(self.revision) as view:
            found = list(view.scan(CONFIGMAPS, self.namespace))
        return b"".join(b"," + (one.body if one.api_version == "v1" else one.body.upper()) for one in found)


@pytest.mark.usefixtures("short_slices")
@pytest.mark.parametrize("bytes_max", [5000, 1 << 20])
@pytest.mark.parametrize("engine", ["lmdb", "memory"])
@in_trio
async def test_lists_of_now_and_then_say_what_was_there(
    engine: str, bytes_max: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "BYTES_MAX", bytes_max)
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    with Store.memory() if engine == "memory" else Store.open(tmp_path, durability="relaxed") as store:
        live: set[tuple[str, str]] = set()
        under_way: list[List] = []
        for number in range(1, 800):
            if number < 150 or rng.random() < 0.2:
                name, namespace = f"a{rng.randrange(120):03}", rng.choice(["a", "b"])
                if (name, namespace) in live and rng.random() < 0.5:
                    change = gone(name, namespace=namespace)
                    live.remove((name, namespace))
                else:
                    change = made(number, name, namespace, str(number), "v2" if rng.random() < 0.01 else "v1")
                    live.add((name, namespace))
                await store.append(event(number), [change])
            elif rng.random() < 0.3 or not under_way:
                revision = rng.choice([None, None, 100, 140, rng.randrange(1, store.head() + 1)])
                under_way.append(List(store, rng.choice(["", "a", "b"]), revision, rng.choice([1000, 1000, 3, 7])))
            else:
                one = rng.choice(under_way)
                one.go_on()
                if one.complete:
                    assert one.found == one.expected()
                    under_way.remove(one)


@pytest.fixture
def objects_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many objects each slice had that was not kept."""
    read: list[int] = []
    for view in (views.NowView, PastView):

        def counting(self: Any, *asked: Any, as_written: Any = view._as_written) -> Any:
            found = as_written(self, *asked)
            read.append(found.rows)
            return found

        monkeypatch.setattr(view, "_as_written", counting)
    return read


@pytest.mark.usefixtures("short_slices")
@in_trio
async def test_only_the_slice_in_which_something_changed_is_read_again(objects_read: list[int]) -> None:
    with Store.memory() as store:
        for number in range(100):
            await store.append(event(number), [made(number, f"a{number:03}", "ns")])

        def listed() -> int:
            objects_read.clear()
            one = List(store, "", None, 1000)
            while not one.complete:
                one.go_on()
            assert one.found == one.expected()
            return sum(objects_read)

        assert listed() == 100
        assert listed() == 100  # only now it is kept
        assert listed() == 0
        await store.append(event(), [made(50, "a050", "ns", "changed")])
        assert 0 < listed() < 10
        await store.append(event(), [gone("a050"), gone("a051")])
        assert 0 < listed() < 10
        await store.append(event(), [put("b", resource="secrets")])
        assert listed() == 0


@pytest.mark.usefixtures("short_slices")
@in_trio
async def test_slices_are_kept_although_others_write_while_they_are_read(objects_read: list[int]) -> None:
    with Store.memory() as store:
        for number in range(100):
            await store.append(event(number), [made(number, f"a{number:03}", "ns")])
        for _ in range(2):
            objects_read.clear()
            one = List(store, "", None, 1000)
            while not one.complete:
                one.go_on()
                await store.append(event(), [put("b", resource="secrets"), made(1, "a000", "ns", "changed")])
            assert one.found == one.expected() and sum(objects_read) == 100
        objects_read.clear()
        again = List(store, "", None, 1000)
        while not again.complete:
            again.go_on()
        assert again.found == again.expected() and 0 < sum(objects_read) < 10


@pytest.mark.usefixtures("short_slices")
def test_what_nobody_asked_for_in_a_while_is_given_up() -> None:
    async def run() -> None:
        with Store.memory() as store:
            for number in range(20):
                await store.append(event(number), [made(number, f"a{number:03}", "ns")])
            for _ in range(2):
                with store.view() as view:
                    view.joined(CONFIGMAPS, "", None, "v1", in_capitals, 1000)
            assert store.slices is not None and store.slices._bytes
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.forget)
                await trio.sleep(kept.KEPT_S / 2)
                assert store.slices._bytes
                await trio.sleep(kept.KEPT_S)  # without any commit
                nursery.cancel_scope.cancel()
            assert not store.slices._bytes and not store.slices._used and not store.slices._ranges

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))

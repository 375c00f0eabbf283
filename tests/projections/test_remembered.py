"""What admission asks again and again is read once, and is never older than the last answered write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.apimachinery.resource import Key
from ledger.projections import remembered
from ledger.projections.remembered import Remembered
from ledger.projections.store import Store
from ledger.projections.view import NowView
from tests.log.samples import CONFIGMAPS, event, gone, in_trio, key, put


class Counting:
    """A store whose reads are counted."""

    def __init__(self, store: Store) -> None:
        self.store, self.reads = store, 0
        self.memory = Remembered(self.open_view)
        store.engine.subscribe(self.memory.forget)

    def open_view(self) -> NowView:
        self.reads += 1
        return self.store.view_now()

    def revision_of(self, wanted: Key) -> int | None:
        with self.memory.view() as view:
            found = view.get(wanted)
        return None if found is None else found.revision

    def names(self, namespace: str = "ns") -> str:
        with self.memory.view() as view:
            return " ".join(one.key.name for one in view.scan(CONFIGMAPS, namespace))


@pytest.fixture
def counting() -> Iterator[Counting]:
    with Store.memory() as store:
        yield Counting(store)


@in_trio
async def test_an_object_is_read_once_until_a_commit_changes_it(counting: Counting) -> None:
    assert counting.revision_of(key("a")) is counting.revision_of(key("a")) is None
    assert counting.reads == 1
    for change, revision in ((put("a", "1"), 1), (put("b", "1"), 1), (put("a", "2"), 3), (gone("a"), None)):
        await counting.store.append(event(), [change])
        assert counting.revision_of(key("a")) == revision
    assert counting.reads == 4, "b is another object"


@in_trio
async def test_a_list_is_read_once_until_one_of_its_objects_changes(counting: Counting) -> None:
    await counting.store.append(event(), [put("a", "1")])
    assert counting.names() == counting.names() == counting.names("") == "a"
    assert counting.reads == 2
    await counting.store.append(event(), [put("b", "1")])
    assert (counting.names(), counting.names(""), counting.names("other")) == ("a b", "a b", "")


@in_trio
async def test_a_long_list_is_given_whole_and_not_kept(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "LIST_ITEMS_MAX", 2)
    for name in "abcde":
        await counting.store.append(event(), [put(name, "1")])
    assert counting.names() == counting.names() == "a b c d e"
    assert counting.reads == 2


@in_trio
async def test_what_is_kept_is_bounded(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "OBJECTS_MAX", 3)
    for name in "abcdefgh":
        assert counting.revision_of(key(name)) is None
    assert len(counting.memory.objects) <= 3


@in_trio
async def test_other_questions_are_asked_of_the_state_itself(counting: Counting) -> None:
    await counting.store.append(event(), [put("a", "1"), put("b", "1")])
    with counting.memory.view() as view:
        assert (view.revision, view.count(CONFIGMAPS)) == (2, 2)
        assert [one.key.name for one in view.scan(CONFIGMAPS, "ns", ("ns", "a"))] == ["b"]


@in_trio
async def test_large_bodies_and_names_that_clients_made_long_are_not_kept(counting: Counting) -> None:
    await counting.store.append(event(), [put("big", "x" * remembered.BYTES_MAX)])
    assert counting.revision_of(key("big")) == 1 and counting.names() == "big"
    assert counting.revision_of(key("n" * 2 * remembered.BYTES_MAX)) is None
    assert not counting.memory.objects and not counting.memory.lists

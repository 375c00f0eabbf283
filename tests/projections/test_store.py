"""Finding things in the log: versions, times, events."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.apimachinery.http import User
from ledger.log.event import Event
from ledger.projections.audit import SEGMENT_BITS
from ledger.projections.store import EVENTS_A_SLICE, VERSIONS_A_SLICE, Store
from tests.log.samples import SECOND, event, gone, in_trio, key, put


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.memory() as opened:
        yield opened


def numbers(events: Iterator[Event]) -> list[int]:
    return [int(found.audit_id[:8], 16) for found in events]


@in_trio
async def test_an_empty_log_answers_everything(store: Store) -> None:
    assert (store.head(), store.last_position(), store.first_revision(), store.span()) == (0, 0, 0, None)
    assert list(store.events()) == list(store.changes_after(0)) == list(store.versions(key("a"))) == []
    assert (store.revision_at(1), store.time_of(1), store.position_of(1), store.change(1)) == (0, None, None, None)
    assert store.find_event("0") is None


@in_trio
async def test_the_versions_of_an_object_are_told_in_either_order(store: Store) -> None:
    await store.append(event(1), [put("a"), put("b")])
    await store.append(event(2), [put("a", "2")])
    await store.append(event(3), [gone("a")])
    await store.append(event(4), [put("a", "3"), put("aa")])
    assert [change.revision for change in store.versions(key("a"))] == [5, 4, 3, 1]
    assert [change.revision for change in store.versions(key("a"), newest_first=False)] == [1, 3, 4, 5]
    assert [change.revision for change in store.versions(key("a"), upto=4)] == [4, 3, 1]
    assert [change.body is None for change in store.versions(key("a"))] == [False, True, False, False]


@in_trio
async def test_long_histories_are_read_in_slices_without_loss(store: Store) -> None:
    count = 3 * VERSIONS_A_SLICE
    for number in range(1, count + 1):
        await store.append(event(number), [put("a", str(number))])
    everything = list(range(1, count + 1))
    assert [change.revision for change in store.versions(key("a"), newest_first=False)] == everything
    assert [change.revision for change in store.versions(key("a"))] == everything[::-1]
    assert [change.revision for change in store.changes_after(10)] == everything[10:]
    assert [change.revision for change in store.changes_after(10, upto=20)] == everything[10:20]


@in_trio
async def test_events_are_read_in_slices_up_to_a_limit(store: Store) -> None:
    for number in range(1, 2 * EVENTS_A_SLICE + 2):
        store.note(event(number, "get"))
    assert numbers(store.events()) == list(range(1, 2 * EVENTS_A_SLICE + 2))
    assert numbers(store.events(5, limit=3)) == [6, 7, 8]
    assert numbers(store.events(5, limit=EVENTS_A_SLICE + 1)) == list(range(6, EVENTS_A_SLICE + 7))


@in_trio
async def test_events_are_found_by_audit_id_user_object_and_time(store: Store) -> None:
    await store.append(event(1, user="alice", resource="configmaps", namespace="ns", name="a"), [put("a")])
    store.note(event(2, "get", user="bob", resource="configmaps", namespace="ns", name="a"))
    await store.append(event(3, "deletecollection", user="bob", resource="configmaps", namespace="ns"), [gone("a")])
    store.note(event(4, "list", user="admin", impersonated=User("alice")))
    assert numbers(store.events_of_user("alice")) == [1, 4]
    assert numbers(store.events_of_user("bob", reverse=True)) == [3, 2]
    assert numbers(store.events_of_user("carol")) == []
    assert numbers(store.events_of_object(key("a"))) == [1, 2, 3]
    assert numbers(store.events_of_object(key("b"))) == []
    assert numbers(store.events_between(1 * SECOND, 3 * SECOND)) == [2, 3]
    found = store.find_event("00000003")
    assert found is not None and found.verb == "deletecollection"
    assert store.find_event("00000003-0000-4000-8000-00000000000") == found
    assert store.find_event("00000003-0000-4000-8000-00000000001") is None
    assert numbers(store.events_with_audit_id("0000000")) == [4, 3, 2, 1]


@in_trio
async def test_the_index_reaches_over_segments(store: Store) -> None:
    count = 2 * (1 << SEGMENT_BITS) + 10
    for number in range(1, count + 1):
        store.note(event(number, "get", user=f"u{number % 2000}"))
    assert numbers(store.events_of_user("u7")) == [7, 2007, 4007, 6007, 8007]
    assert numbers(store.events_of_user("u7", reverse=True)) == [8007, 6007, 4007, 2007, 7]
    assert numbers(store.events_between(4094 * SECOND, 4098 * SECOND)) == [4095, 4096, 4097, 4098]
    assert numbers(store.events_with_audit_id("00001000-")) == [4096]


@pytest.mark.parametrize(
    ("at_s", "revision"),
    [(0.5, 0), (1, 1), (1.9, 1), (2, 1), (2.5, 3), (3, 3), (3.5, 3), (9, 4), (10, 4), (11, 5), (99, 5)],
)
@in_trio
async def test_the_revision_at_a_time_has_all_that_was_acknowledged_by_then(
    store: Store, at_s: float, revision: int
) -> None:
    # Committed in this order; the second was answered long after the third, the fourth was slow.
    times = [(1, 0.9, 1), (2, 0.95, 9), (3, 2.2, 2.5), (4, 4, 9), (5, 10, 11)]
    for number, received, answered in times:
        sent = event(number, received=round(received * SECOND), answered=round(answered * SECOND))
        await store.append(sent, [put(f"o{number}")])
        store.note(event(100 + number, "get", at_s=answered))
    assert store.revision_at(round(at_s * SECOND)) == revision


@in_trio
async def test_a_revision_knows_its_time_and_event(store: Store) -> None:
    store.note(event(1, "get"))
    await store.append(event(2, at_s=20), [put("a"), put("b")])
    assert [(store.position_of(n), store.time_of(n)) for n in (1, 2, 3)] == [
        (2, 20 * SECOND),
        (2, 20 * SECOND),
        (None, None),
    ]
    assert store.span() == (1 * SECOND, 20 * SECOND)
    assert store.first_revision() == 1

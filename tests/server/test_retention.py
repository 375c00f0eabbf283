"""The server's passes: by its clock, between other work, and not over another cluster's past."""

from __future__ import annotations

from dataclasses import replace

import trio
import trio.testing

from ledger.apimachinery.resource import GroupResource
from ledger.projections.retention import Policy
from ledger.projections.store import Store
from ledger.server.retention import EVERY_S, FIRST_PASS_S, is_imported, retain_for_ever
from tests.log.samples import SECOND, event, put

DAY_S = 86_400
CONFIGMAPS = GroupResource("", "configmaps")


def test_what_is_a_day_old_goes_in_passes_of_the_servers_own() -> None:
    async def play() -> None:
        store, began = Store.memory(), trio.current_time()

        def clock_us() -> int:
            return round((trio.current_time() - began) * SECOND)

        def kept() -> list[int]:
            return [one.revision for one in store.changes_after(0)]

        for number in range(4):
            await store.append(event(number, at_s=number * DAY_S / 3), [put("a", str(number))])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(retain_for_ever, store, Policy({CONFIGMAPS: DAY_S * SECOND}), clock_us)
            await trio.sleep(FIRST_PASS_S + 1)
            assert kept() == [1, 2, 3, 4]
            await trio.sleep(DAY_S)
            assert kept() == [1, 2, 3, 4], "the second state was there at the horizon's first moments"
            await trio.sleep(DAY_S / 3 + EVERY_S)
            assert kept() == [2, 3, 4]
            await trio.sleep(DAY_S)
            assert kept() == [4]
            nursery.cancel_scope.cancel()

    trio.run(play, clock=trio.testing.MockClock(autojump_threshold=0))


def test_an_imported_log_is_told_from_one_whose_client_says_so() -> None:
    store = Store.memory()
    store.note(replace(event(1), audit_id="import"))
    assert not is_imported(store)
    store.note(replace(event(2), audit_id="import", stage="Imported"))
    assert is_imported(store)

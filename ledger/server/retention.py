"""Lets go of what the policy no longer keeps, a little at a time, while the server runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import trio

from ledger.log.api import Unusable
from ledger.log.lmdb_file import FILE
from ledger.projections.retention import Dropped, Policy, sweep
from ledger.projections.store import Store

FIRST_PASS_S = 60.0
EVERY_S = 600.0
PAUSE_S = 0.02  # between the steps of a pass, so that requests come first

_log = logging.getLogger(__name__)


async def retain_for_ever(store: Store, policy: Policy, clock_us: Callable[[], int]) -> None:
    """Passes until cancelled, or until the log is closed."""
    await trio.sleep(FIRST_PASS_S)
    while True:
        dropped = await sweep(store, policy, clock_us(), PAUSE_S)
        if any(dropped):
            _log.info("retention dropped %d events and %d changes", dropped.events, dropped.changes)
        await trio.sleep(EVERY_S)


def sweep_closed(data_dir: Path, policy: Policy, now_us: int, *, imported_too: bool) -> Dropped:
    """One pass over a ledger that nobody has open. Raises Unusable."""
    if not (data_dir / FILE).exists():
        raise Unusable(f"{data_dir / FILE}: there is no log here")

    async def run() -> Dropped:
        # Not every step waits for the disk: the end does, and nobody is told before.
        with Store.open(data_dir, durability="relaxed") as store:
            if is_imported(store) and not imported_too:
                return Dropped(0, 0)
            return await sweep(store, policy, now_us)

    return trio.run(run)


def is_imported(store: Store) -> bool:
    """Whether the log began as that of another cluster: its past is what it is for, and nobody said to let it go."""
    return any(event.stage == "Imported" for event in store.events_with_audit_id("import"))

"""Watches: what a client sees of the commits, given its selectors and where it began.

An object that comes into the selection is ADDED and one that leaves it DELETED, whatever happened to it in truth. Watches
wake once a commit for all that queued; a client that reads too slowly is served from the log instead of from memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import trio

from ledger.projections.api import Stored
from ledger.projections.store import Store
from ledger.projections.watch import WatchItem
from ledger.registry.listing import Selection
from ledger.registry.options import ListOptions
from ledger.scheme.definition import ResourceDefinition

BOOKMARK_EVERY_S = 60


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """`stored` is the object as the event shows it; a BOOKMARK has only a revision."""

    type: str  # ADDED, MODIFIED, DELETED, BOOKMARK
    revision: int
    stored: Stored | None = None
    initial_end: bool = False  # the bookmark that ends the initial events
    item: WatchItem | None = None  # what it came from: frames may be shared there


async def watch_events(
    store: Store,
    definition: ResourceDefinition,
    namespace: str,
    options: ListOptions,
    selection: Selection,
    timeout_s: float,
) -> AsyncIterator[list[WatchEvent]]:
    """Batches of events until the time is up. The first batch may be empty: it says that the watch has begun."""
    deadline = trio.current_time() + timeout_s
    after, initial = _begin(store, definition, namespace, options, selection)
    yield initial
    watcher = store.watch(definition.stored_as, namespace, after)
    told = after
    next_bookmark = trio.current_time() + BOOKMARK_EVERY_S
    with watcher:
        while True:
            now = trio.current_time()
            if now >= deadline:
                return
            batch = None
            with trio.move_on_at(min(deadline, next_bookmark) if options.bookmarks else deadline):
                batch = await watcher.next_batch()
            if batch is None:
                if options.bookmarks and trio.current_time() >= next_bookmark:
                    next_bookmark = trio.current_time() + BOOKMARK_EVERY_S
                    head = max(told, store.head())
                    if head > told:
                        told = head
                        yield [WatchEvent("BOOKMARK", head)]
                continue
            events = [event for item in batch if (event := transition(item, selection)) is not None]
            if events:
                told = events[-1].revision
                yield events


def transition(item: WatchItem, selection: Selection) -> WatchEvent | None:
    """What a change means to somebody who sees only the selection; None: nothing."""
    key = item.key
    was = item.old is not None and (
        not selection or selection.matches(key.name, key.namespace, item.old.labels, item.old.fields)
    )
    now = item.stored is not None and (not selection or selection.selects(item.stored))
    if now:
        return WatchEvent("MODIFIED" if was else "ADDED", item.revision, item.stored, item=item)
    if was:
        # The object leaves the selection. A deleted one is shown as it last was, one that only stopped to match as it
        # was when it still did; both carry the revision of what happened.
        return WatchEvent("DELETED", item.revision, item.last(), item=item)
    return None


def _begin(
    store: Store, definition: ResourceDefinition, namespace: str, options: ListOptions, selection: Selection
) -> tuple[int, list[WatchEvent]]:
    """(the revision after which to follow, the initial events)."""
    given = options.resource_version
    if given not in ("", "0") and not options.send_initial_events:
        return int(given), []
    if options.send_initial_events is False:
        return store.head(), []
    with store.view() as view:
        rows = view.scan(definition.stored_as, namespace)
        events = [WatchEvent("ADDED", one.revision, one) for one in rows if not selection or selection.selects(one)]
        revision = view.revision
    if options.send_initial_events and options.bookmarks:
        events.append(WatchEvent("BOOKMARK", revision, initial_end=True))
    return revision, events

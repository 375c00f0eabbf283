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
    upto: int | None = None,
) -> AsyncIterator[list[WatchEvent]]:
    """Batches of events until the time is up. The first batch may be empty: it says that the watch has begun.

    `upto`: the last revision to show (of a past moment); after it nothing more comes.
    """
    deadline = trio.current_time() + timeout_s
    after, initial = _begin(store, definition, namespace, options, selection, upto)
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
                batch = await (
                    watcher.next_batch() if upto is None or watcher.revision < upto else trio.sleep_forever()
                )
                if not batch:
                    return  # the store was closed
                if upto is not None:
                    batch = [item for item in batch if item.revision <= upto]
            if batch is None:
                if options.bookmarks and trio.current_time() >= next_bookmark:
                    next_bookmark = trio.current_time() + BOOKMARK_EVERY_S
                    head = watcher.revision
                    if head > told:
                        told = head
                        yield [WatchEvent("BOOKMARK", head)]
                continue
            events = [event for item in batch if (event := transition(item, selection)) is not None]
            if events:
                told = events[-1].revision
                yield events


def transition(item: WatchItem, selection: Selection) -> WatchEvent | None:
    """What a change means to somebody who sees only the selection; None: nothing.

    An object that leaves the selection, deleted or not, is shown as it was when it last belonged to it, with the
    revision of what happened.
    """
    deleted = item.change.body is None
    if not selection:
        if deleted:
            return WatchEvent("DELETED", item.revision, item.departed, item=item)
        kind = "MODIFIED" if item.change.previous else "ADDED"
        return WatchEvent(kind, item.revision, item.stored, item=item)
    old = item.old
    was = old is not None and selection.selects(old)
    stored = None if deleted else item.stored
    if stored is not None and selection.selects(stored):
        return WatchEvent("MODIFIED" if was else "ADDED", item.revision, stored, item=item)
    if was:
        return WatchEvent("DELETED", item.revision, item.departed, item=item)
    return None


def _begin(
    store: Store,
    definition: ResourceDefinition,
    namespace: str,
    options: ListOptions,
    selection: Selection,
    upto: int | None,
) -> tuple[int, list[WatchEvent]]:
    """(the revision after which to follow, the initial events)."""
    given = options.resource_version
    if given not in ("", "0") and not options.send_initial_events:
        return int(given), []
    if options.send_initial_events is False:
        return (store.head() if upto is None else upto), []
    with store.view(upto) as view:
        rows = view.scan(definition.stored_as, namespace)
        events = [WatchEvent("ADDED", one.revision, one) for one in rows if not selection or selection.selects(one)]
        revision = view.revision
    if options.send_initial_events and options.bookmarks:
        events.append(WatchEvent("BOOKMARK", revision, initial_end=True))
    return revision, events

"""Watches: what a client sees of the commits, given its selectors and where it began.

An object that comes into the selection is ADDED and one that leaves it DELETED, whatever happened to it in truth. Watches
wake once a commit for all that queued; a client that reads too slowly is served from the log instead of from memory.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

import trio

from ledger.apimachinery.http import Shared, Write
from ledger.projections.api import Stored
from ledger.projections.store import Store
from ledger.projections.watch import Watcher, WatchItem
from ledger.registry.listing import Listing, Selection
from ledger.registry.options import ListOptions
from ledger.scheme.definition import ResourceDefinition

BOOKMARK_EVERY_S = 60
EVENTS_A_CHUNK = 100  # of the initial ones


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """`stored` is the object as the event shows it; a BOOKMARK has only a revision."""

    type: str  # ADDED, MODIFIED, DELETED, BOOKMARK
    revision: int
    stored: Stored | None = None
    initial_end: bool = False  # the bookmark that ends the initial events
    item: WatchItem | None = None  # what it came from: frames may be shared there


class Watching:
    """One watch. `upto`: the last revision to show, of a past moment; after it nothing more comes.

    `frame` makes bytes of an event, `framed` of several, where that may mean to ask somebody else first. Watches of an
    equal `alike` are sent the same bytes for what is committed from now on; None: `frame` alone cannot make them.
    """

    frame: Callable[[WatchEvent], bytes]
    framed: Callable[[list[WatchEvent]], Awaitable[bytes]]
    alike: Callable[[], Hashable]

    def __init__(
        self,
        store: Store,
        definition: ResourceDefinition,
        namespace: str,
        options: ListOptions,
        selection: Selection,
        upto: int | None = None,
    ) -> None:
        self.store, self.definition, self.namespace = store, definition, namespace
        self.options, self.selection, self.upto = options, selection, upto

    async def run(self, write: Write, timeout_s: float) -> None:
        """Sends everything until the time is up. Raises Compacted when the log does not reach back far enough."""
        deadline = trio.current_time() + timeout_s
        after = await self._begin(write)
        bookmark = trio.current_time() + BOOKMARK_EVERY_S if self.options.bookmarks else math.inf
        with self.store.watch(self.definition.stored_as, self.namespace, after) as watcher:
            while trio.current_time() < deadline and not watcher.closed:
                if not await self._catch_up(watcher, write):
                    with trio.move_on_at(min(deadline, bookmark)):
                        await self._follow(watcher, write)
                    await write(b"")  # what was pushed is out before anything else comes
                if trio.current_time() >= bookmark:
                    bookmark = trio.current_time() + BOOKMARK_EVERY_S
                    await self._bookmark(watcher, write)

    async def _catch_up(self, watcher: Watcher, write: Write) -> bool:
        """Sends what there is already. False, without having waited: there is nothing more."""
        if self.upto is not None and watcher.revision >= self.upto:
            return False
        behind = watcher.behind
        events = self._events(watcher.take())
        if events:
            watcher.told = watcher.revision
            await write(await self.framed(events))
        elif not behind:
            return False
        await trio.lowlevel.checkpoint()
        return True

    async def _follow(self, watcher: Watcher, write: Write) -> None:
        """Waits, while commits are pushed, until there is something else to do."""
        if self.upto is not None:
            await trio.sleep_forever()
        await watcher.follow(self.alike(), self._rendered, write.push)

    async def _bookmark(self, watcher: Watcher, write: Write) -> None:
        revision = watcher.revision if self.upto is None else min(watcher.revision, self.upto)
        if revision > watcher.told:
            watcher.told = revision
            await write(self.frame(WatchEvent("BOOKMARK", revision)))

    def _rendered(self, items: list[WatchItem]) -> Shared | None:
        events = self._events(items)
        return Shared(b"".join([self.frame(event) for event in events])) if events else None

    def _events(self, items: list[WatchItem]) -> list[WatchEvent]:
        return [
            event
            for item in items
            if self.upto is None or item.revision <= self.upto
            if (event := transition(item, self.selection)) is not None
        ]

    async def _begin(self, write: Write) -> int:
        """Sends the initial events, where there are any; the revision after which to follow."""
        await write(b"")
        given = self.options.resource_version
        if given not in ("", "0") and not self.options.send_initial_events:
            return int(given)
        if self.options.send_initial_events is False:
            return self.store.head() if self.upto is None else self.upto
        at = ListOptions() if self.upto is None else ListOptions(resource_version=str(self.upto), match="Exact")
        listing = Listing(self.store, self.definition, self.namespace, at, self.selection, 0)
        while not listing.complete:
            found = listing.items()
            for start in range(0, len(found), EVENTS_A_CHUNK):
                some = [WatchEvent("ADDED", one.revision, one) for one in found[start : start + EVENTS_A_CHUNK]]
                await write(await self.framed(some))
            await trio.lowlevel.checkpoint()
        if self.options.send_initial_events and self.options.bookmarks:
            await write(self.frame(WatchEvent("BOOKMARK", listing.page.revision, initial_end=True)))
        return listing.page.revision


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

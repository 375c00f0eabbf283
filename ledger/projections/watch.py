"""The watch projection: what was committed lately, kept in memory once for all watchers of a resource.

A ring holds the last changes of one resource while somebody watches it. A watcher is only a revision: it takes what
the ring holds after that, and waits in a parking lot of its namespace. Who falls behind the ring, or starts before it,
reads the log in slices instead, gap-free and in the same order; so memory is bounded by the ring, whatever watchers do.

Watchers that want the same bytes do not wait each for itself: they follow in a group. What was committed is made into
bytes once for the group and pushed to its members one after the other, by one task; waking a task for each would cost
as much as the sending. A member whose peer does not keep up leaves the group and goes on by itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import trio

from ledger.apimachinery.http import Shared
from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.api import Entry, Read
from ledger.log.codec import HEAD, decode_change
from ledger.log.event import Change
from ledger.log.rows import check_horizon
from ledger.projections.api import Stored
from ledger.projections.state import stored_of

RING_ITEMS = 1024  # what a busy server does in half a second; who is further behind reads the log
RING_BYTES = 2 << 20
SLICE_CHANGES = 2000  # of the log, looked at in one go by a watcher that is behind
SLICE_BYTES = 4 << 20
PUSHES_A_TURN = 64  # before other tasks have their turn: half a millisecond

Reader = Callable[[], AbstractContextManager[Read]]
Place = tuple[GroupResource | None, str]


class WatchItem:
    """One committed change as watchers see it. `frames` is for the handlers: a serialised form per media type."""

    __slots__ = ("_old", "_read", "_stored", "change", "frames")

    def __init__(self, change: Change, read: Reader) -> None:
        self.change = change
        self.frames: dict[Any, bytes] = {}
        self._read = read
        self._stored: Stored | None = None
        self._old: Change | None = None

    @property
    def revision(self) -> int:
        return self.change.revision

    @property
    def key(self) -> Key:
        return self.change.key

    @property
    def kind(self) -> str:
        """ "created", "updated" or "deleted"."""
        if self.change.body is None:
            return "deleted"
        return "updated" if self.change.previous else "created"

    @property
    def stored(self) -> Stored | None:
        """The object after the change; for a deletion its last state, with the deletion's revision.

        None only for the deletion of an object whose last state the log no longer has.
        """
        if self._stored is None:
            self._stored = stored_of(self.change) if self.change.body is not None else self.departed
        return self._stored

    @property
    def old(self) -> Stored | None:
        """The state that was replaced, with its own revision; None for a created object."""
        change = self._previous()
        return None if change is None else stored_of(change)

    @property
    def departed(self) -> Stored | None:
        """The state that was replaced, with this change's revision: what a DELETED event carries."""
        change = self._previous()
        return None if change is None else stored_of(change, self.revision)

    def _previous(self) -> Change | None:
        if self._old is None and self.change.previous:
            with self._read() as read:
                self._old = read.change(self.change.previous)
        return self._old


class Ring:
    """The last changes of one resource (None: of all), oldest first; complete after revision `floor`."""

    __slots__ = ("body_bytes", "floor", "items", "revisions", "watchers")

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self.items: list[WatchItem] = []
        self.revisions: list[int] = []
        self.body_bytes = 0
        self.watchers = 0

    def add(self, item: WatchItem) -> None:
        self.items.append(item)
        self.revisions.append(item.revision)
        self.body_bytes += len(item.change.body or b"")
        if len(self.items) > RING_ITEMS * 5 // 4 or self.body_bytes > RING_BYTES * 5 // 4:
            self._trim()

    @property
    def end(self) -> int:
        """The last revision in it, or the one after which it began."""
        return self.revisions[-1] if self.revisions else self.floor

    def after(self, revision: int) -> list[WatchItem]:
        return self.items[bisect_right(self.revisions, revision) :]

    def _trim(self) -> None:
        """Drops the older part; seldom and in one piece, since a list gives up its front slowly."""
        cut = max(0, len(self.items) - RING_ITEMS)
        left = sum(len(item.change.body or b"") for item in self.items[cut:])
        while left > RING_BYTES and cut < len(self.items):
            left -= len(self.items[cut].change.body or b"")
            cut += 1
        if cut:
            self.floor = self.revisions[cut - 1]
            del self.items[:cut], self.revisions[:cut]
        self.body_bytes = left


Render = Callable[[list[WatchItem]], Shared | None]
Push = Callable[[Shared], bool]


class Group:
    """Watchers of one place that are pushed the same bytes; `render` makes them, None where there is nothing to say."""

    __slots__ = ("members", "namespace", "render", "ring")

    def __init__(self, ring: Ring, namespace: str, render: Render) -> None:
        self.ring, self.namespace, self.render = ring, namespace, render
        self.members: dict[Watcher, Push] = {}

    def made_after(self, revision: int) -> Shared | None:
        items = self.ring.after(revision)
        if self.namespace:
            items = [item for item in items if item.change.key.namespace == self.namespace]
        return self.render(items) if items else None


class Lot:
    """Where the watchers of one resource and namespace wait."""

    __slots__ = ("parking", "waiting")

    def __init__(self) -> None:
        self.parking = trio.lowlevel.ParkingLot()
        self.waiting: set[Watcher] = set()


class WatchHub:
    """All rings and lots; subscribed to the engine."""

    def __init__(self, read: Reader) -> None:
        self.read = read
        with read() as now:
            self.published = now.head()  # the last revision that rings and waiting watchers know of
        self.rings: dict[GroupResource | None, Ring] = {}
        self.lots: dict[Place, Lot] = {}
        self.groups: dict[Place, dict[Hashable, Group]] = {}
        self.delivers = False  # somebody runs `deliver`
        self._due: dict[Group, None] = {}  # groups with something to be pushed
        self._something_due = trio.Event()
        self.closed = False

    def publish(self, entries: Sequence[Entry]) -> None:
        """A commit: into the rings, and wakes who waits for it."""
        before = self.published
        touched: dict[Place, None] = {}
        for _, changes in entries:
            for change in changes:
                self._add(change, touched)
                self.published = max(self.published, change.revision)
        for place in touched:
            lot = self.lots.get(place)
            if lot is not None and lot.waiting:
                for watcher in lot.waiting:
                    # Nothing of its kind happened while it waited: it need not look back further than this commit.
                    watcher.after = max(watcher.after, before)
                lot.waiting.clear()
                lot.parking.unpark_all()
            for group in self.groups.get(place, {}).values():
                self._due[group] = None
        if self._due:
            self._something_due.set()

    async def deliver(self) -> None:
        """Pushes what is committed to those who follow, for ever. One task of the server runs this."""
        self.delivers = True
        try:
            while True:
                await self._something_due.wait()
                self._something_due = trio.Event()
                while self._due:
                    group = next(iter(self._due))
                    del self._due[group]
                    await self._push(group)
        finally:
            self.delivers = False

    async def _push(self, group: Group) -> None:
        """Tells each member what it was not told. More may be committed meanwhile: later members get that as well."""
        made: dict[tuple[int, int], Shared | None] = {}
        for count, (watcher, push) in enumerate(tuple(group.members.items()), 1):
            if watcher in group.members and not watcher.woken.is_set():
                known = watcher.after, group.ring.end
                try:
                    if known not in made:
                        made[known] = group.made_after(watcher.after)
                    watcher.pushed(made[known], known[1], push)
                except Exception:  # a bug, and not everybody's: this one fails where it says which watch it is
                    watcher.woken.set()
            if count % PUSHES_A_TURN == 0:
                await trio.lowlevel.checkpoint()

    def group(self, place: Place, key: Hashable, ring: Ring, render: Render) -> Group:
        """The group with this key at this place, made if need be."""
        groups = self.groups.setdefault(place, {})
        if key not in groups:
            groups[key] = Group(ring, place[1], render)
        return groups[key]

    def leave(self, place: Place, key: Hashable, watcher: Watcher) -> None:
        groups = self.groups.get(place, {})
        group = groups.get(key)
        if group is not None and group.members.pop(watcher, None) is not None and not group.members:
            del groups[key]
            self._due.pop(group, None)
            if not groups:
                del self.groups[place]

    def watch(self, resource: GroupResource | None, namespace: str, after: int) -> Watcher:
        ring = self.rings.get(resource)
        if ring is None:
            ring = self.rings[resource] = Ring(self.published)
        ring.watchers += 1
        return Watcher(self, ring, resource, namespace, after)

    def close(self) -> None:
        """Ends every watcher: a waiting one returns an empty batch."""
        self.closed = True
        for lot in self.lots.values():
            lot.parking.unpark_all()
        for groups in self.groups.values():
            for group in groups.values():
                for watcher in group.members:
                    watcher.woken.set()

    def _add(self, change: Change, touched: dict[Place, None]) -> None:
        resource = GroupResource(change.key.group, change.key.resource)
        own, everything = self.rings.get(resource), self.rings.get(None)
        if own is None and everything is None:
            return
        item = WatchItem(change, self.read)
        namespace = change.key.namespace
        if own is not None:
            own.add(item)
            touched[resource, ""] = touched[resource, namespace] = None
        if everything is not None:
            everything.add(item)
            touched[None, ""] = touched[None, namespace] = None


class Watcher:
    """Changes of one resource (and namespace, unless "") after a revision, in order and without a gap.

    Use it as a context manager, from one task: the last one to leave a resource takes its ring along.
    """

    def __init__(self, hub: WatchHub, ring: Ring, resource: GroupResource | None, namespace: str, after: int) -> None:
        self._hub, self._ring, self._resource, self._namespace = hub, ring, resource, namespace
        self._place: Place = (resource, namespace)
        self.after = after  # everything up to here was returned or pushed
        self.told = after  # the last of these revisions that there was something to tell of
        self.woken = trio.Event()
        self._open = True

    @property
    def revision(self) -> int:
        """A bookmark: everything of this watcher's kind up to here was returned or pushed."""
        return self.after

    @property
    def closed(self) -> bool:
        return self._hub.closed

    async def next_batch(self) -> list[WatchItem]:
        """What happened since the last batch, oldest first; waits until there is something.

        Cancel it freely, nothing is lost. Empty only when the log was closed. Raises Compacted.
        """
        while not self._hub.closed:
            await trio.lowlevel.checkpoint_if_cancelled()  # here, since what is taken below must be returned
            behind = self.behind
            found = self.take()
            if found:
                return found
            await (trio.lowlevel.checkpoint() if behind else self._wait())
        return []

    @property
    def behind(self) -> bool:
        """Whether the ring does not reach back to where this watcher is: `take` then goes on by a slice of the log."""
        return self.after < self._ring.floor

    def take(self) -> list[WatchItem]:
        """What is there now, without waiting; empty when there is nothing, or nothing in this slice of the log."""
        return self._from_log() if self.behind else self._from_ring()

    async def follow(self, group: Hashable, render: Render, push: Push) -> None:
        """Has what is committed pushed, with all watchers of an equal `group`; returns when this one must go on itself.

        That is when `push` has said that the peer does not keep up, or when the log was closed; in the group None when
        there is something to take. Cancel it freely.
        """
        if group is None or not self._hub.delivers:
            await self._wait()
            return
        self.woken = trio.Event()
        self._hub.group(self._place, group, self._ring, render).members[self] = push
        try:
            await self.woken.wait()
        finally:
            self._hub.leave(self._place, group, self)
            self._skip_what_concerns_others()

    def pushed(self, chunk: Shared | None, upto: int, push: Push) -> None:
        """Called by the hub: `chunk` is what there is to tell after `after`, up to a revision."""
        if self.behind:
            self.woken.set()
            return
        self.after = max(self.after, upto)
        if chunk is not None:
            self.told = self.after
            if not push(chunk):
                self.woken.set()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._ring.watchers -= 1
            if not self._ring.watchers and self._hub.rings.get(self._resource) is self._ring:
                del self._hub.rings[self._resource]

    def _skip_what_concerns_others(self) -> None:
        """Moves up to the last commit, unless something of this watcher's kind was committed that it was not told."""
        if not self.behind and not self._in_ring():
            self.after = max(self.after, self._hub.published)

    def _in_ring(self) -> list[WatchItem]:
        items = self._ring.after(self.after)
        if self._namespace:
            return [item for item in items if item.change.key.namespace == self._namespace]
        return items

    def _from_ring(self) -> list[WatchItem]:
        items = self._in_ring()
        self.after = max(self.after, self._ring.end)
        return items

    def _from_log(self) -> list[WatchItem]:
        """The next slice of the log, filtered; moves on even when nothing in it is of this watcher's kind."""
        prefix = b""
        if self._resource is not None:
            prefix = f"{self._resource.group}/{self._resource.resource}\0".encode()
            if self._namespace:
                prefix += f"{self._namespace}\0".encode()
        found = []
        looked_at = body_bytes = 0
        with self._hub.read() as read:
            check_horizon(read, self._resource, self.after)
            for raw, row in read.change_rows(self.after, read.head()):
                self.after = int.from_bytes(raw, "big")
                if row.startswith(prefix, HEAD.size):
                    found.append(WatchItem(decode_change(self.after, row, read.bodies), self._hub.read))
                looked_at += 1
                body_bytes += len(row)
                if looked_at >= SLICE_CHANGES or body_bytes >= SLICE_BYTES:
                    return found
            self.after = max(self.after, read.head())
        return found

    async def _wait(self) -> None:
        """Until something of this watcher's kind is committed."""
        lot = self._hub.lots.setdefault(self._place, Lot())
        lot.waiting.add(self)
        try:
            await lot.parking.park()
        finally:
            if self in lot.waiting:  # cancelled: nothing of its kind was committed meanwhile
                lot.waiting.discard(self)
                self.after = max(self.after, self._hub.published)
            if not lot.waiting and self._hub.lots.get(self._place) is lot:
                del self._hub.lots[self._place]

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

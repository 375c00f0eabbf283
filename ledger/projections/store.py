"""The store: an engine and the folds over it, as the rooms above use them.

Everything but `append`, `noted` and `room` returns at once. Iterators read the log in slices, each in a read transaction of its
own, so one may be left open across an await; a View may not.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.api import Bodies, Commit, Engine, Entry, Fold
from ledger.log.codec import PLAIN, decode_stamp, table_key
from ledger.log.event import Change, Event, Guard
from ledger.log.lmdb_engine import LmdbEngine
from ledger.log.memory import MemoryEngine
from ledger.log.refold import Progress
from ledger.log.rows import check_horizon
from ledger.projections import audit
from ledger.projections.api import FutureRevision, Stored
from ledger.projections.audit import AuditFold
from ledger.projections.counts import Counts
from ledger.projections.history import HISTORY, HistoryFold, version_bounds
from ledger.projections.past_view import PastView
from ledger.projections.selections import Selections
from ledger.projections.slices import Slices
from ledger.projections.state import TABLE as STATE
from ledger.projections.state import StateFold, decode_stored
from ledger.projections.view import NowView
from ledger.projections.watch import Watcher, WatchHub

EVENTS_A_SLICE = 256
VERSIONS_A_SLICE = 64


def folds(bodies: Bodies = PLAIN) -> tuple[Fold, ...]:
    """The projections of every ledger."""
    return StateFold(bodies), HistoryFold(), AuditFold()


class Store:
    """Appending, reading now and then, finding events, watching."""

    def __init__(self, engine: Engine, bodies: Bodies = PLAIN, *, is_told: bool = True) -> None:
        """`is_told`: of every commit there is, so that what was read can be kept; not so where another process writes."""
        self.engine, self.bodies, self.is_told = engine, bodies, is_told
        self.read = engine.read
        self._hub = WatchHub(engine.read)
        engine.subscribe(self._hub.publish)
        self._counts = Counts(self._hub.published)
        engine.subscribe(self._counts.publish)
        self.selections: Selections | None = None
        self.slices: Slices | None = None
        if is_told:
            self.selections, self.slices = Selections(self._hub.published), Slices(self._hub.published)
            engine.subscribe(self.selections.publish)
            engine.subscribe(self.slices.publish)

    @classmethod
    def open(
        cls,
        data_dir: Path | str,
        *,
        durability: str = "strict",
        read_only: bool = False,
        progress: Progress | None = None,
    ) -> Store:
        """The store in a directory, which is made if need be. `read_only` may share it with a running server.

        Raises log.api.InUse and Unusable. `progress` is told about events folded again, where that is needed.
        """
        engine = LmdbEngine(data_dir, folds(), durability=durability, read_only=read_only, progress=progress)
        return cls(engine, is_told=not read_only)

    @classmethod
    def memory(cls) -> Store:
        return cls(MemoryEngine(folds()))

    def close(self) -> None:
        """Writes what is queued and ends all watchers."""
        self.engine.close()
        self._hub.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Writing.

    def append(
        self, event: Event, changes: Sequence[Change] = (), guards: Sequence[Guard] = ()
    ) -> Coroutine[Any, Any, Commit]:
        """See log.api.Engine.append, which is to be awaited: durable and visible on return; raises Conflict."""
        return self.engine.append(event, changes, guards)

    def note(self, event: Event) -> bool:
        """Records an event without changes; on disk with the next commit, or within some 100 ms.

        False: whoever must not lose it to a kill of the process awaits `noted` before going on.
        """
        return self.engine.note(event)

    async def noted(self) -> None:
        await self.engine.noted()

    async def room(self) -> None:
        """Await this before taking on work, so that a disk that lags slows requests down instead of filling memory."""
        await self.engine.room()

    def append_imported(self, entries: Sequence[Entry]) -> list[Commit]:
        return self.engine.append_imported(entries)

    # The state, now and then.

    def head(self) -> int:
        """The last revision; 0 in an empty log."""
        with self.read() as read:
            return read.head()

    def last_position(self) -> int:
        with self.read() as read:
            return read.last_position()

    def first_revision(self) -> int:
        """The first revision the log has; 0 in an empty log."""
        with self.read() as read:
            return next((change.revision for change in read.changes(0, read.head())), 0)

    def span(self) -> tuple[int, int] | None:
        """When the first event that the log had and the last one were answered; None in an empty log."""
        with self.read() as read:
            last = read.event(read.last_position())
            first = next(read.events(0, 1 << 62), None)
            begins = read.retained().begins
        return None if first is None or last is None else (begins or first.answered, last.answered)

    def view_now(self) -> NowView:
        """The state now. Use it in a `with` statement."""
        read = self.engine.read()
        return NowView(read, read.head(), self.bodies, self._counts, self.selections, self.slices)

    def view(self, revision: int | None = None) -> NowView | PastView:
        """The state now, or as of a revision (included). Raises FutureRevision. Use it in a `with` statement."""
        read = self.engine.read()
        head = read.head()
        if revision is None or revision == head:
            return NowView(read, head, self.bodies, self._counts, self.selections, self.slices)
        if revision < head:
            return PastView(read, revision, self.bodies, self.slices)
        read.__exit__(None, None, None)
        raise FutureRevision(revision, head)

    def get(self, key: Key) -> Stored | None:
        """The object as it is now."""
        raw = table_key(key.encode())
        row = self.engine.get(STATE, raw)
        return None if row is None else decode_stored(raw, row, self.bodies)

    def versions(self, key: Key, *, newest_first: bool = True, upto: int | None = None) -> Iterator[Change]:
        """The history of one object, deletions included, up to a revision (included).

        Of what retention left. Raises Compacted when that cannot say what the object was at `upto`.
        """
        if upto is not None:
            with self.read() as read:
                check_horizon(read, GroupResource(key.group, key.resource), upto)
        start, stop = version_bounds(table_key(key.encode()), self.head() if upto is None else upto)
        while True:
            with self.read() as read:
                found = []
                for raw, _ in read.scan(HISTORY, start, stop, reverse=newest_first):
                    change = read.change(int.from_bytes(raw[-8:], "big"))
                    if change is not None:
                        found.append(change)
                    if newest_first:
                        stop = raw
                    else:
                        start = raw + b"\0"
                    if len(found) == VERSIONS_A_SLICE:
                        break
            yield from found
            if len(found) < VERSIONS_A_SLICE:
                return

    def change(self, revision: int) -> Change | None:
        with self.read() as read:
            return read.change(revision)

    def changes_after(self, revision: int, upto: int | None = None) -> Iterator[Change]:
        """All changes after a revision, by revision, up to one (included) or to the log's end as it is now."""
        upto = self.head() if upto is None else upto
        while True:
            with self.read() as read:
                found = _take(read.changes(revision, upto), EVENTS_A_SLICE)
            yield from found
            if len(found) < EVENTS_A_SLICE:
                return
            revision = found[-1].revision

    # Revisions and times (microseconds since 1970).

    def position_of(self, revision: int) -> int | None:
        with self.read() as read:
            stamp = read.stamp(revision)
        return None if stamp is None else stamp.position

    def time_of(self, revision: int) -> int | None:
        """When the request that made this revision was answered."""
        with self.read() as read:
            stamp = read.stamp(revision)
        return None if stamp is None else stamp.answered

    def revision_at(self, time_us: int) -> int:
        """The last revision made by a request answered at or before a time; 0 before the first.

        So whatever was acknowledged by then is included, and all that was committed before it.
        """
        with self.read() as read:
            event = read.event(audit.last_commit(read, time_us))
            last = max(event.revisions) if event is not None else 0
            # Requests are not answered quite in the order of their commits. One that was received after the time
            # was committed after it, and so was everything behind it.
            found = last
            for raw, row in read.change_rows(last, read.head()):
                stamp = decode_stamp(row)
                if stamp.received > time_us:
                    break
                if stamp.answered <= time_us:
                    found = int.from_bytes(raw, "big")
            return found

    # Finding events.

    def event(self, position: int) -> Event | None:
        with self.read() as read:
            return read.event(position)

    def events(self, after: int = 0, limit: int = 1 << 62) -> Iterator[Event]:
        """Events by position, at the `limit` positions after one."""
        end = after + limit
        while after < end:
            with self.read() as read:
                if after >= read.last_position():
                    return
                found = list(read.events(after, min(end - after, EVENTS_A_SLICE)))
            yield from found
            after += EVENTS_A_SLICE

    def find_event(self, audit_id_prefix: str) -> Event | None:
        """The latest event whose audit id begins so."""
        return next(self.events_with_audit_id(audit_id_prefix), None)

    def events_with_audit_id(self, prefix: str) -> Iterator[Event]:
        """Newest first."""
        bounds = audit.beginning_with(prefix)
        return self._indexed(bounds, lambda event: event.audit_id.startswith(prefix), reverse=True)

    def events_of_user(self, name: str, *, reverse: bool = False) -> Iterator[Event]:
        """Events of a user, as itself or impersonated, by position."""
        bounds = audit.exactly(audit.USER, audit.hashed(name))
        return self._indexed(bounds, lambda event: name in audit.names_of(event), reverse=reverse)

    def events_of_object(self, key: Key, *, reverse: bool = False) -> Iterator[Event]:
        """Events that named an object or changed it, by position."""
        bounds = audit.exactly(audit.OBJECT, audit.hashed_key(key))
        return self._indexed(bounds, lambda event: self._concerns(event, key), reverse=reverse)

    def events_between(self, after_us: int, upto_us: int, *, reverse: bool = False) -> Iterator[Event]:
        """Events answered after one time (excluded) up to another (included), by position."""
        bounds = audit.between(after_us, upto_us)
        return self._indexed(bounds, lambda event: after_us < event.answered <= upto_us, reverse=reverse)

    def _indexed(
        self, bounds: tuple[bytes, bytes], wanted: Callable[[Event], bool], *, reverse: bool
    ) -> Iterator[Event]:
        """Events by index; hashes may collide, so each is asked whether it is one of the wanted."""
        for segment in audit.segments(self.last_position(), reverse=reverse):
            with self.read() as read:
                places = audit.positions(read, segment, *bounds)
            if reverse:
                places.reverse()
            for start in range(0, len(places), EVENTS_A_SLICE):
                with self.read() as read:
                    found = [read.event(position) for position in places[start : start + EVENTS_A_SLICE]]
                yield from (event for event in found if event is not None and wanted(event))

    def _concerns(self, event: Event, key: Key) -> bool:
        if audit.object_of(event) == key:
            return True
        with self.read() as read:
            changes = [read.change(revision) for revision in event.revisions]
        return any(change is not None and change.key == key for change in changes)

    # Following.

    def watch(self, resource: GroupResource, namespace: str, after_revision: int) -> Watcher:
        """Changes of a resource (in a namespace, unless "") after a revision; use it as a context manager."""
        return self._hub.watch(resource, namespace, after_revision)

    async def deliver(self) -> None:
        """Pushes commits to the watchers that follow, for ever. A server runs it once; without it they wait by themselves."""
        await self._hub.deliver()

    async def forget(self) -> None:
        """Gives back the memory of lists that nobody asks for any more, for ever. A server runs it once."""
        while self.slices is not None:
            await self.slices.gone()
            self.engine.give_back_pages()

    def follow(self, after_revision: int) -> Watcher:
        """Changes of all resources after a revision, for controllers."""
        return self._hub.watch(None, "", after_revision)


def _take(changes: Iterator[Change], limit: int) -> list[Change]:
    return [change for change, _ in zip(changes, range(limit), strict=False)]

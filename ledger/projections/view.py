"""Reads of the state, now or as of a revision. A view is one read transaction: close it before any await."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from operator import getitem
from typing import Any, Self

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.api import Bodies, Read
from ledger.log.codec import PLAIN, changed_key, table_key
from ledger.log.rows import check_horizon
from ledger.projections.api import Joined, Place, Slice, Stored
from ledger.projections.counts import Counts
from ledger.projections.history import DELETIONS, GONE, HISTORY, deletion_bounds, version_bounds
from ledger.projections.selections import Matches, Question, Selections
from ledger.projections.state import HEAD as ROW
from ledger.projections.state import (
    HEADER_LENGTH,
    TABLE,
    body_cuts,
    bounds,
    decode_changed,
    decode_stored,
    encoded_key,
)

FEW_CHANGES = 5000  # up to so many changes since, counting looks at them instead of at every object
SLICE_ROWS = 2000  # looked at in one read; some milliseconds
SLICE_BYTES = 512 << 10  # of bodies, joined in one read
NO_ROW = (memoryview(b""), memoryview(b""))


class OpenView:
    """A view over a read transaction, which ends with it."""

    __slots__ = ("bodies", "read", "revision")

    def __init__(self, read: Read, revision: int, bodies: Bodies = PLAIN) -> None:
        self.read, self.revision, self.bodies = read, revision, bodies

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *how: Any) -> None:
        self.read.__exit__(*how)

    def scan(self, resource: GroupResource, namespace: str = "", after: Place | None = None) -> Iterator[Stored]:
        raise NotImplementedError

    def select(
        self,
        resource: GroupResource,
        namespace: str,
        after: Place | None,
        selects: Callable[[Stored], bool],
        *,
        required: bytes = b"",
        items_max: int = SLICE_ROWS,
    ) -> Slice:
        """The objects `selects` chooses among the next 2,000, at most `items_max` of them.

        `required`: what the header of each of them must contain (see state.header_part); the others are not decoded.
        """
        items: list[Stored] = []
        last = after
        for looked_at, stored in enumerate(self.scan(resource, namespace, after)):
            if looked_at == SLICE_ROWS or len(items) == items_max:
                return Slice(items, last)
            last = (stored.key.namespace, stored.key.name)
            if selects(stored):
                items.append(stored)
        return Slice(items, None)

    def known(self, question: Question, matches: Matches) -> list[Key] | None:
        """The keys of what a selector selects, as a list sorts them, where it was asked before; None: unknown."""
        return None

    def joined(
        self,
        resource: GroupResource,
        namespace: str,
        after: Place | None,
        api_version: str,
        shown: Callable[[Stored], bytes],
        rows_max: int,
    ) -> Joined:
        """The next bodies, some 512 KiB or `rows_max` of them; `shown` makes those that are not in `api_version`."""
        bodies = [b""]
        length, last = 0, after
        for stored in self.scan(resource, namespace, after):
            if length >= SLICE_BYTES or len(bodies) > rows_max:
                return Joined(b",".join(bodies), len(bodies) - 1, last)
            last = (stored.key.namespace, stored.key.name)
            bodies.append(stored.body if stored.written_in(api_version) else shown(stored))
            length += len(bodies[-1])
        return Joined(b",".join(bodies), len(bodies) - 1, None)


class NowView(OpenView):
    """The state as the log's end left it."""

    __slots__ = ("counts", "selections")

    def __init__(
        self, read: Read, revision: int, bodies: Bodies, counts: Counts, selections: Selections | None
    ) -> None:
        super().__init__(read, revision, bodies)
        self.counts, self.selections = counts, selections

    def known(self, question: Question, matches: Matches) -> list[Key] | None:
        return None if self.selections is None else self.selections.keys(self.read, question, matches)

    def get(self, key: Key) -> Stored | None:
        raw = table_key(key.encode())
        row = self.read.get(TABLE, raw)
        return None if row is None else decode_stored(raw, row, self.bodies)

    def scan(self, resource: GroupResource, namespace: str = "", after: Place | None = None) -> Iterator[Stored]:
        bodies = self.bodies
        for raw, row in self.read.scan(TABLE, *bounds(resource, namespace, after)):
            yield decode_stored(raw, row, bodies)

    def select(
        self,
        resource: GroupResource,
        namespace: str,
        after: Place | None,
        selects: Callable[[Stored], bool],
        *,
        required: bytes = b"",
        items_max: int = SLICE_ROWS,
    ) -> Slice:
        if not required:
            return super().select(resource, namespace, after, selects, items_max=items_max)
        items: list[Stored] = []
        header_length = HEADER_LENGTH.unpack_from
        previous = NO_ROW
        rows = self.read.scan_in_place(TABLE, *bounds(resource, namespace, after))
        for looked_at, (raw, row) in enumerate(rows):
            if looked_at == SLICE_ROWS or len(items) == items_max:
                return Slice(items, _place(*previous))
            previous = raw, row
            if required in bytes(row[ROW.size : ROW.size + header_length(row, 8)[0]]):
                stored = decode_stored(bytes(raw), bytes(row), self.bodies)
                if selects(stored):
                    items.append(stored)
        return Slice(items, None)

    def joined(
        self,
        resource: GroupResource,
        namespace: str,
        after: Place | None,
        api_version: str,
        shown: Callable[[Stored], bytes],
        rows_max: int,
    ) -> Joined:
        """As the others, without a step of Python for each row and without a copy but the join."""
        if self.bodies is PLAIN and api_version:
            cuts = body_cuts(api_version)
            rows, last = self.read.rows_in_place(TABLE, *bounds(resource, namespace, after), rows_max, SLICE_BYTES)
            with suppress(KeyError, struct.error):  # not all are written in this version
                bodies: Iterator[memoryview] = map(getitem, rows, map(cuts.__getitem__, map(cuts.head, rows)))  # type: ignore[arg-type]
                place = None if last is None else _place(last, rows[-1])
                return Joined(b",".join(chain((b"",), bodies)), len(rows), place)
        return super().joined(resource, namespace, after, api_version, shown, rows_max)

    def count(self, resource: GroupResource, namespace: str = "", after: Place | None = None) -> int:
        def counted() -> int:
            return self.read.count(TABLE, *bounds(resource, namespace, after))

        return counted() if after is not None else self.counts.at(self.revision, resource, namespace, counted)

    def remaining(self, resource: GroupResource, namespace: str, after: Place | None) -> int | None:
        return self.count(resource, namespace, after)


class PastView(OpenView):
    """The state as it was after `revision`.

    A list walks the state of today: an object that did not change since is taken as it is, one that did is looked up in
    its history, and the objects deleted since are merged in. So the cost is that of a list now, plus what changed. All
    reads raise Compacted below a resource's horizon.
    """

    __slots__ = ()

    def get(self, key: Key) -> Stored | None:
        check_horizon(self.read, GroupResource(key.group, key.resource), self.revision)
        return self._as_of(key.encode())

    def scan(self, resource: GroupResource, namespace: str = "", after: Place | None = None) -> Iterator[Stored]:
        check_horizon(self.read, resource, self.revision)
        start, stop = bounds(resource, namespace, after)
        deleted = self._deleted_since(resource, start, stop)
        due = next(deleted, None)
        for raw, row in self.read.scan(TABLE, start, stop):
            while due is not None and due[0] <= raw:
                if due[0] != raw and (found := self._as_of(due[1])) is not None:
                    yield found
                due = next(deleted, None)
            if int.from_bytes(row[:8], "big") <= self.revision:
                yield decode_stored(raw, row, self.bodies)
            elif (found := self._as_of(encoded_key(raw, row))) is not None:
                yield found
        while due is not None:
            if (found := self._as_of(due[1])) is not None:
                yield found
            due = next(deleted, None)

    def count(self, resource: GroupResource, namespace: str = "", after: Place | None = None) -> int:
        if self.read.head() - self.revision > FEW_CHANGES:
            return sum(1 for _ in self.scan(resource, namespace, after))
        check_horizon(self.read, resource, self.revision)
        start, stop = bounds(resource, namespace, after)
        count = self.read.count(TABLE, start, stop)
        for raw, encoded in self._touched_since(start, stop).items():
            count -= self.read.get(TABLE, raw) is not None
            count += self._as_of(encoded) is not None
        return count

    def remaining(self, resource: GroupResource, namespace: str, after: Place | None) -> int | None:
        """None of a moment so far back that every object would have to be looked at."""
        if self.read.head() - self.revision > FEW_CHANGES:
            return None
        return self.count(resource, namespace, after)

    def _as_of(self, encoded: bytes) -> Stored | None:
        found = self.read.last(HISTORY, *version_bounds(encoded, self.revision))
        if found is None or found[1] == GONE:
            return None
        revision = found[0][-8:]
        row = self.read.get("changes", revision)
        return None if row is None else decode_changed(int.from_bytes(revision, "big"), row, self.bodies)

    def _touched_since(self, start: bytes, stop: bytes) -> dict[bytes, bytes]:
        """Table key -> encoded key of the objects in a range that were changed in any way after the revision."""
        found = {}
        for _, row in self.read.change_rows(self.revision, self.read.head()):
            encoded = changed_key(row)
            raw = table_key(encoded)
            if start <= raw < stop:
                found[raw] = encoded
        return found

    def _deleted_since(self, resource: GroupResource, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(table key, encoded key) of the objects deleted after the revision, each once, sorted by table key."""
        found = {}
        for _, encoded in self.read.scan(DELETIONS, *deletion_bounds(resource, self.revision)):
            raw = table_key(encoded)
            if start <= raw < stop:
                found[raw] = encoded
        return iter(sorted(found.items()))


def _place(raw: bytes | memoryview, row: memoryview) -> Place:
    key = Key.decode(encoded_key(bytes(raw), bytes(row)))
    return key.namespace, key.name

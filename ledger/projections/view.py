"""Reads of the state as it is now. A view is one read transaction: close it before any await."""

from __future__ import annotations

import struct
from abc import abstractmethod
from collections.abc import Callable, Iterator
from itertools import chain
from operator import getitem
from typing import Any, Self

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.api import Bodies, Read
from ledger.log.codec import PLAIN, changed_key, table_key
from ledger.projections.api import Joined, Place, Required, Slice, Stored, View
from ledger.projections.counts import Counts
from ledger.projections.selections import Matches, Question, Selections
from ledger.projections.slices import Range, Slices
from ledger.projections.state import (
    REVISION,
    TABLE,
    as_stored,
    body_cuts,
    bounds,
    decode_changed,
    decode_stored,
    encoded_key,
    header_of,
)

SLICE_ROWS = 2000  # looked at in one read; some milliseconds
SLICE_BYTES = 512 << 10  # of bodies, joined in one read

# Table key; the row of the state, and b""; or the row of the log's changes, and its revision (8 bytes).
Row = tuple[bytes | memoryview, bytes | memoryview, bytes]


class OpenView(View):
    """A view over a read transaction, which ends with it. What follows from `scan` is here."""

    __slots__ = ("bodies", "read", "revision", "slices")

    def __init__(self, read: Read, revision: int, bodies: Bodies, slices: Slices | None) -> None:
        self.read, self.revision, self.bodies, self.slices = read, revision, bodies, slices

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *how: Any) -> None:
        self.read.__exit__(*how)

    def scan(self, resource: GroupResource, namespace: str = "", after: Place | None = None) -> Iterator[Stored]:
        for raw, row, revision in self._rows(resource, *bounds(resource, namespace, after)):
            yield self._decoded(raw, row, revision)

    def select(
        self,
        resource: GroupResource,
        namespace: str,
        after: Place | None,
        selects: Callable[[Stored], bool],
        *,
        required: Required | None = None,
        items_max: int = SLICE_ROWS,
    ) -> Slice:
        items: list[Stored] = []
        previous: Row = b"", b"", b""
        in_header, in_change = as_stored(required)
        for looked_at, found in enumerate(self._rows(resource, *bounds(resource, namespace, after))):
            if looked_at == SLICE_ROWS or len(items) == items_max:
                return Slice(items, place_of(*previous))
            previous = found
            _, row, revision = found
            if in_change in bytes(row) if revision else in_header in header_of(row):
                stored = self._decoded(*found)
                if selects(stored):
                    items.append(stored)
        return Slice(items, None)

    def known(self, question: Question, matches: Matches) -> list[Key] | None:
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
        self._check_horizon(resource)  # slices that are kept do not ask
        if self.bodies is PLAIN and api_version:
            found = self._slice(resource, namespace, after, api_version, rows_max)
            if found is not None:
                return found
        bodies = [b""]
        length, last = 0, after
        for stored in self.scan(resource, namespace, after):
            if length >= SLICE_BYTES or len(bodies) > rows_max:
                return Joined(b",".join(bodies), len(bodies) - 1, last)
            last = (stored.key.namespace, stored.key.name)
            bodies.append(stored.body if stored.written_in(api_version) else shown(stored))
            length += len(bodies[-1])
        return Joined(b",".join(bodies), len(bodies) - 1, None)

    def _decoded(self, raw: bytes | memoryview, row: bytes | memoryview, revision: bytes) -> Stored:
        if revision:
            return decode_changed(int.from_bytes(revision, "big"), bytes(row), self.bodies)
        return decode_stored(bytes(raw), bytes(row), self.bodies)

    def _slice(
        self, resource: GroupResource, namespace: str, after: Place | None, api_version: str, rows_max: int
    ) -> Joined | None:
        """As `joined`, where all bodies are written in that version; read only where it is not kept."""
        start, stop = bounds(resource, namespace, after)
        if self.slices is None:
            return self._as_written(resource, start, stop, api_version, rows_max)
        whole = Range(resource, *bounds(resource, namespace, None), api_version, self.moment)
        found = self.slices.find(whole, start, self.revision, rows_max)
        if found is None:
            following = self.slices.following(whole, start)
            end = stop if following is None else following.start
            found = self._as_written(resource, start, end, api_version, rows_max)
            if found is not None:
                if found.last is None and following is not None:
                    found = found._replace(last=following.after)
                    if not found.rows:
                        return self._slice(resource, namespace, following.after, api_version, rows_max)
                upto = stop if found.last is None else bounds(resource, namespace, found.last)[0]
                self.slices.keep(whole, start, upto, after, self.revision, found)
        return found

    def _of_state(self, start: bytes, stop: bytes, api_version: str, rows_max: int) -> Joined | None:
        """What `_as_written` is, by the state alone; None also where that is of later than this view.

        Without a step of Python for each object, and without a copy but the join.
        """
        cuts = body_cuts(api_version)
        rows, last = self.read.rows_in_place(TABLE, start, stop, rows_max, SLICE_BYTES)
        if self.moment and max(map(REVISION.unpack_from, rows), default=(0,)) > (self.moment,):
            return None
        try:
            bodies: Iterator[memoryview] = map(getitem, rows, map(cuts.__getitem__, map(cuts.head, rows)))  # type: ignore[arg-type]
            joined = b",".join(chain((b"",), bodies))
        except (KeyError, struct.error):
            return None
        return Joined(joined, len(rows), None if last is None else place_of(last, rows[-1], b""))

    @abstractmethod
    def _check_horizon(self, resource: GroupResource) -> None:
        """Raises Compacted where what this view shows of a resource is gone."""

    @property
    @abstractmethod
    def moment(self) -> int:
        """The revision of a past; 0: now."""

    @abstractmethod
    def _rows(self, resource: GroupResource, start: bytes, stop: bytes) -> Iterator[Row]:
        """The objects in a range of the state's keys, sorted by them."""

    @abstractmethod
    def _as_written(
        self, resource: GroupResource, start: bytes, stop: bytes, api_version: str, rows_max: int
    ) -> Joined | None:
        """The bodies of the next objects in a range; None where one of them is not written in this version."""


class NowView(OpenView):
    """The state as the log's end left it."""

    __slots__ = ("counts", "selections")

    def __init__(
        self,
        read: Read,
        revision: int,
        bodies: Bodies,
        counts: Counts,
        selections: Selections | None,
        slices: Slices | None,
    ) -> None:
        super().__init__(read, revision, bodies, slices)
        self.counts, self.selections = counts, selections

    def known(self, question: Question, matches: Matches) -> list[Key] | None:
        return None if self.selections is None else self.selections.keys(self.read, question, matches)

    def get(self, key: Key) -> Stored | None:
        raw = table_key(key.encode())
        row = self.read.get(TABLE, raw)
        return None if row is None else decode_stored(raw, row, self.bodies)

    def _check_horizon(self, resource: GroupResource) -> None:
        """What is there now never goes."""

    def _rows(self, resource: GroupResource, start: bytes, stop: bytes) -> Iterator[Row]:
        return ((key, row, b"") for key, row in self.read.scan_in_place(TABLE, start, stop))

    @property
    def moment(self) -> int:
        return 0

    def _as_written(
        self, resource: GroupResource, start: bytes, stop: bytes, api_version: str, rows_max: int
    ) -> Joined | None:
        return self._of_state(start, stop, api_version, rows_max)

    def count(self, resource: GroupResource, namespace: str = "", after: Place | None = None) -> int:
        def counted() -> int:
            return self.read.count(TABLE, *bounds(resource, namespace, after))

        return counted() if after is not None else self.counts.at(self.revision, resource, namespace, counted)

    def remaining(self, resource: GroupResource, namespace: str, after: Place | None) -> int | None:
        return self.count(resource, namespace, after)


def place_of(raw: bytes | memoryview, row: bytes | memoryview, revision: bytes) -> Place:
    encoded = changed_key(bytes(row)) if revision else encoded_key(bytes(raw), bytes(row))
    key = Key.decode(encoded)
    return key.namespace, key.name

"""Reads of the state as it was after a revision."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.codec import changed_key, packed_body, table_key, text_item
from ledger.log.packing import unpack_all, unpacked_bytes
from ledger.log.rows import check_horizon
from ledger.projections.api import Joined, Place, Stored
from ledger.projections.history import DELETIONS, GONE, HISTORY, deletion_bounds, version_bounds
from ledger.projections.state import REVISION, TABLE, body_cuts, bounds, spliced
from ledger.projections.view import SLICE_BYTES, OpenView, Row, place_of

FEW_CHANGES = 5000  # up to so many changes since, counting looks at them instead of at every object


class PastView(OpenView):
    """The state as it was after `revision`.

    A list walks the state of today: an object that did not change since is taken as it is, one that did is looked up in
    its history, and the objects deleted since are merged in. So the cost is that of a list now, plus what changed. All
    reads raise Compacted below a resource's horizon.
    """

    __slots__ = ()

    @property
    def moment(self) -> int:
        return self.revision

    def get(self, key: Key) -> Stored | None:
        self._check_horizon(GroupResource(key.group, key.resource))
        found = self._as_of(table_key(key.encode()))
        return None if found is None else self._decoded(*found)

    def _check_horizon(self, resource: GroupResource) -> None:
        check_horizon(self.read, resource, self.revision)

    def _rows(self, resource: GroupResource, start: bytes, stop: bytes) -> Iterator[Row]:
        self._check_horizon(resource)
        deleted = self._deleted_since(resource, start, stop)
        due = next(deleted, None)
        for key, row in self.read.scan_in_place(TABLE, start, stop):
            raw = bytes(key)
            while due is not None and due <= raw:
                if due != raw and (found := self._as_of(due)) is not None:
                    yield found
                due = next(deleted, None)
            if REVISION.unpack_from(row)[0] <= self.revision:
                yield raw, row, b""
            elif (found := self._as_of(raw)) is not None:
                yield found
        while due is not None:
            if (found := self._as_of(due)) is not None:
                yield found
            due = next(deleted, None)

    def _as_written(
        self, resource: GroupResource, start: bytes, stop: bytes, api_version: str, rows_max: int
    ) -> Joined | None:
        """Bodies of the log are unpacked together, and never made into objects."""
        if self._unchanged(resource, start, stop):
            found_now = self._of_state(start, stop, api_version, rows_max)
            if found_now is not None:
                return found_now
        cuts, version = body_cuts(api_version), text_item(api_version)
        found: list[tuple[bytes | memoryview, bytes]] = []  # body, as the row has it, and revision
        packed: list[bytes] = []
        length, last = 0, None
        previous: Row = b"", b"", b""
        try:
            for one in self._rows(resource, start, stop):
                if length >= SLICE_BYTES or len(found) >= rows_max:
                    last = place_of(*previous)
                    break
                previous = _, row, revision = one
                if revision:
                    packed.append(packed_body(bytes(row), version))
                    found.append((b"", revision))
                    length += unpacked_bytes(packed[-1])
                else:
                    found.append((row[cuts[cuts.head(row)]], b""))
                    length += len(row)
        except (KeyError, struct.error):
            return None
        unpacked = iter(unpack_all(packed))
        parts: list[bytes | memoryview] = []
        for body, revision in found:
            parts.append(b",")
            if revision:
                parts += spliced(next(unpacked), int.from_bytes(revision, "big"))
            else:
                parts.append(body)
        return Joined(b"".join(parts), len(found), last)

    def count(self, resource: GroupResource, namespace: str = "", after: Place | None = None) -> int:
        if self.read.head() - self.revision > FEW_CHANGES:
            return sum(1 for _ in self._rows(resource, *bounds(resource, namespace, after)))
        self._check_horizon(resource)
        start, stop = bounds(resource, namespace, after)
        count = self.read.count(TABLE, start, stop)
        for raw in self._touched_since(start, stop):
            count -= self.read.get(TABLE, raw) is not None
            count += self._as_of(raw) is not None
        return count

    def remaining(self, resource: GroupResource, namespace: str, after: Place | None) -> int | None:
        """None of a moment so far back that every object would have to be looked at."""
        if self.read.head() - self.revision > FEW_CHANGES:
            return None
        return self.count(resource, namespace, after)

    def _unchanged(self, resource: GroupResource, start: bytes, stop: bytes) -> bool:
        """False where something of this resource was deleted since, or the first object in the range has changed."""
        if next(iter(self.read.scan(DELETIONS, *deletion_bounds(resource, self.revision))), None) is not None:
            return False
        first = next(iter(self.read.scan_in_place(TABLE, start, stop)), None)
        return first is None or REVISION.unpack_from(first[1])[0] <= self.revision

    def _as_of(self, raw: bytes) -> Row | None:
        """What an object was, by the log; None: it was not there."""
        found = self.read.last(HISTORY, *version_bounds(raw, self.revision))
        if found is None or found[1] == GONE:
            return None
        revision = found[0][-8:]
        row = self.read.get("changes", revision)
        return None if row is None else (raw, row, revision)

    def _touched_since(self, start: bytes, stop: bytes) -> set[bytes]:
        """Table keys of the objects in a range that were changed in any way after the revision."""
        rows = self.read.change_rows(self.revision, self.read.head())
        return {raw for _, row in rows if start <= (raw := table_key(changed_key(row))) < stop}

    def _deleted_since(self, resource: GroupResource, start: bytes, stop: bytes) -> Iterator[bytes]:
        """Table keys of the objects deleted after the revision, each once, sorted."""
        rows = self.read.scan(DELETIONS, *deletion_bounds(resource, self.revision))
        return iter(sorted({raw for _, encoded in rows if start <= (raw := table_key(encoded)) < stop}))

"""Reads of the state as it was after a revision."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.codec import changed_key, table_key
from ledger.log.rows import check_horizon
from ledger.projections.api import Joined, Place, Stored
from ledger.projections.history import DELETIONS, GONE, HISTORY, deletion_bounds, version_bounds
from ledger.projections.state import TABLE, bounds, decode_changed, decode_stored, encoded_key
from ledger.projections.view import OpenView

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

    def _as_written(self, start: bytes, stop: bytes, api_version: str, rows_max: int) -> Joined | None:
        return None

    def get(self, key: Key) -> Stored | None:
        check_horizon(self.read, GroupResource(key.group, key.resource), self.revision)
        return self._as_of(key.encode())

    def joined(
        self,
        resource: GroupResource,
        namespace: str,
        after: Place | None,
        api_version: str,
        shown: Callable[[Stored], bytes],
        rows_max: int,
    ) -> Joined:
        check_horizon(self.read, resource, self.revision)
        return super().joined(resource, namespace, after, api_version, shown, rows_max)

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

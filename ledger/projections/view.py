"""Reads of the state, now or as of a revision. A view is one read transaction: close it before any await."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.api import Bodies, Read
from ledger.log.codec import PLAIN, changed_key, number, table_key
from ledger.projections.api import Stored
from ledger.projections.history import DELETIONS, GONE, HISTORY, deletion_bounds, version_bounds
from ledger.projections.state import TABLE, bounds, decode_changed, decode_stored, encoded_key

FEW_CHANGES = 5000  # up to so many changes since, counting looks at them instead of at every object


class OpenView:
    """A view over a read transaction, which ends with it."""

    __slots__ = ("bodies", "read", "revision")

    def __init__(self, read: Read, revision: int, bodies: Bodies = PLAIN) -> None:
        self.read, self.revision, self.bodies = read, revision, bodies

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *how: Any) -> None:
        self.read.__exit__(*how)


class NowView(OpenView):
    """The state as the log's end left it."""

    __slots__ = ()

    def get(self, key: Key) -> Stored | None:
        raw = table_key(key.encode())
        row = self.read.get(TABLE, raw)
        return None if row is None else decode_stored(raw, row, self.bodies)

    def scan(
        self, resource: GroupResource, namespace: str = "", after: tuple[str, str] | None = None
    ) -> Iterator[Stored]:
        bodies = self.bodies
        for raw, row in self.read.scan(TABLE, *bounds(resource, namespace, after)):
            yield decode_stored(raw, row, bodies)

    def count(self, resource: GroupResource, namespace: str = "", after: tuple[str, str] | None = None) -> int:
        return self.read.count(TABLE, *bounds(resource, namespace, after))


class PastView(OpenView):
    """The state as it was after `revision`.

    A list walks the state of today: an object that did not change since is taken as it is, one that did is looked up in
    its history, and the objects deleted since are merged in. So the cost is that of a list now, plus what changed.
    """

    __slots__ = ()

    def get(self, key: Key) -> Stored | None:
        return self._as_of(key.encode())

    def scan(
        self, resource: GroupResource, namespace: str = "", after: tuple[str, str] | None = None
    ) -> Iterator[Stored]:
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

    def count(self, resource: GroupResource, namespace: str = "", after: tuple[str, str] | None = None) -> int:
        if self.read.head() - self.revision > FEW_CHANGES:
            return sum(1 for _ in self.scan(resource, namespace, after))
        start, stop = bounds(resource, namespace, after)
        count = self.read.count(TABLE, start, stop)
        for raw, encoded in self._touched_since(start, stop).items():
            count -= self.read.get(TABLE, raw) is not None
            count += self._as_of(encoded) is not None
        return count

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
        for _, row in self.read.scan("changes", number(self.revision + 1), number(self.read.head() + 1)):
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

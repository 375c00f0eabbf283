"""The log's own tables, read alike by every engine: events by position, changes by revision, the head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import lru_cache

from cbor2 import dumps, loads

from ledger.apimachinery.resource import GroupResource
from ledger.log.api import Bodies, Compacted, Read, Retained, Stamp
from ledger.log.chain import DIGEST_BYTES
from ledger.log.codec import decode_change, decode_event, decode_stamp, number
from ledger.log.event import Change, Event
from ledger.log.sequencer import HEAD_KEY, Head

RETAINED_KEY = b"retained"


class LogRead(ABC):
    """The part of api.Read that follows from `get` and `scan`, which engines add."""

    __slots__ = ("bodies",)

    bodies: Bodies

    @abstractmethod
    def get(self, table: str, key: bytes) -> bytes | None: ...

    @abstractmethod
    def scan(self, table: str, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < stop."""

    def scan_in_place(self, table: str, start: bytes, stop: bytes) -> Iterator[tuple[memoryview, memoryview]]:
        """As `scan`, but keys and rows are the store's own memory: they end with this read."""
        for key, row in self.scan(table, start, stop):
            yield memoryview(key), memoryview(row)

    def rows_in_place(
        self, table: str, start: bytes, stop: bytes, rows_max: int, bytes_max: int
    ) -> tuple[list[memoryview], bytes | None]:
        return first_rows(self.scan_in_place(table, start, stop), rows_max, bytes_max)

    def count(self, table: str, start: bytes, stop: bytes) -> int:
        return sum(1 for _ in self.scan(table, start, stop))

    def last(self, table: str, start: bytes, stop: bytes) -> tuple[bytes, bytes] | None:
        return next(self.scan(table, start, stop, reverse=True), None)

    def log_head(self) -> Head:
        return Head.decode(self.get("meta", HEAD_KEY))

    def head(self) -> int:
        row = self.get("meta", HEAD_KEY)
        return 0 if row is None else int.from_bytes(row[:8], "big")

    def last_position(self) -> int:
        return self.log_head().position

    def retained(self) -> Retained:
        return decode_retained(self.get("meta", RETAINED_KEY))

    def horizon(self, resource: GroupResource | None) -> int:
        row = self.get("meta", RETAINED_KEY)
        if row is None:
            return 0
        horizons = decode_retained(row).horizons
        return max(horizons.values(), default=0) if resource is None else horizons.get("/".join(resource), 0)

    def change(self, revision: int) -> Change | None:
        row = self.get("changes", number(revision))
        return None if row is None or is_dropped(row) else decode_change(revision, row, self.bodies)

    def changes(self, after: int, upto: int) -> Iterator[Change]:
        for key, row in self.change_rows(after, upto):
            yield decode_change(int.from_bytes(key, "big"), row, self.bodies)

    def change_rows(self, after: int, upto: int, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        for item in self.scan("changes", number(after + 1), number(upto + 1), reverse=reverse):
            if not is_dropped(item[1]):
                yield item

    def stamp(self, revision: int) -> Stamp | None:
        row = self.get("changes", number(revision))
        return None if row is None or is_dropped(row) else decode_stamp(row)

    def event(self, position: int) -> Event | None:
        row = self.get("events", number(position))
        return None if row is None or is_dropped(row) else decode_event(position, row[DIGEST_BYTES:])

    def events(self, after: int, limit: int) -> Iterator[Event]:
        for key, row in self.scan("events", number(after + 1), number(after + limit + 1)):
            if not is_dropped(row):
                yield decode_event(int.from_bytes(key, "big"), row[DIGEST_BYTES:])


def first_rows(
    rows: Iterator[tuple[memoryview, memoryview]], rows_max: int, bytes_max: int
) -> tuple[list[memoryview], bytes | None]:
    """See Read.rows_in_place; an empty key where more follow than none."""
    found: list[memoryview] = []
    length, last = 0, memoryview(b"")
    for key, row in rows:
        if len(found) >= rows_max or length >= bytes_max:
            return found, bytes(last)
        found.append(row)
        length += len(row)
        last = key
    return found, None


def is_dropped(row: bytes) -> bool:
    """Whether retention left only the hash of a change or the digest of an event: either is shorter than any row."""
    return len(row) == DIGEST_BYTES


def check_horizon(read: Read, resource: GroupResource | None, revision: int) -> None:
    """Raises Compacted where retention dropped what a resource (None: any) was at a revision."""
    horizon = read.horizon(resource)
    if revision < horizon:
        raise Compacted("some resources" if resource is None else named(resource), horizon)


def named(resource: GroupResource) -> str:
    """As kubectl names it: leases.coordination.k8s.io."""
    return f"{resource.resource}.{resource.group}" if resource.group else resource.resource


def encode_retained(retained: Retained) -> bytes:
    return dumps(list(retained))


@lru_cache(maxsize=8)
def decode_retained(row: bytes | None) -> Retained:
    """The row that retention keeps in `meta`."""
    return Retained({}, 0, 0, 0) if row is None else Retained(*loads(row))

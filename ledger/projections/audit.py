"""The audit index: where in the log to find the events of a user, of an object, of a time, of an audit id.

    audit    segment (4 bytes BE), kind (1), value (8 or 10), place in the segment (2 bytes BE)  ->  nothing

A segment is 4096 events. It leads the key so that all writing happens at the table's end, however long the log: an
index by user or object alone dirties a page of its own for nearly every event. A question costs one seek a segment
(2,400 for ten million events: some 5 ms). Users and objects are hashed to 8 bytes; readers compare the event itself.
"""

from __future__ import annotations

from hashlib import blake2b

from ledger.apimachinery.remember import remembered
from ledger.apimachinery.resource import Key
from ledger.log.api import Delete, Entry, Put, Read
from ledger.log.codec import number
from ledger.log.event import Event

TABLE = "audit"
SEGMENT_BITS = 12
PLACE = (1 << SEGMENT_BITS) - 1
AUDIT_ID_BYTES = 10

USER, OBJECT, AUDIT_ID = b"u", b"o", b"i"
TIME = b"t"  # when it was answered
COMMIT_TIME = b"w"  # the same, of events with changes


class AuditFold:
    name = "audit"
    version = 1
    tables: tuple[str, ...] = (TABLE,)

    def changes(self, entry: Entry) -> list[Put | Delete]:
        event = entry.event
        position = event.position
        segment = (position >> SEGMENT_BITS).to_bytes(4, "big")
        place = (position & PLACE).to_bytes(2, "big")
        answered = number(event.answered)
        audit_id = audit_id_prefix(event.audit_id).ljust(AUDIT_ID_BYTES, b"\0")
        values = [USER + hashed(event.user.name), TIME + answered, AUDIT_ID + audit_id]
        if event.impersonated is not None:
            values.append(USER + hashed(event.impersonated.name))
        keys = {change.key: None for change in entry.changes}
        if keys:
            values.append(COMMIT_TIME + answered)
        if event.resource and event.name:
            keys[object_of(event)] = None
        values += [OBJECT + hashed_key(key) for key in keys]
        return [Put(TABLE, b"".join((segment, value, place)), b"") for value in values]


def object_of(event: Event) -> Key:
    """The object a request named."""
    return Key(event.api_group, event.resource, event.namespace, event.name)


def names_of(event: Event) -> tuple[str, ...]:
    """Who an event is found under."""
    return (event.user.name,) if event.impersonated is None else (event.user.name, event.impersonated.name)


@remembered(4096)
def hashed(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8).digest()


def hashed_key(key: Key) -> bytes:
    return blake2b(key.encode(), digest_size=8).digest()


def audit_id_prefix(audit_id: str) -> bytes:
    return audit_id[:AUDIT_ID_BYTES].encode()[:AUDIT_ID_BYTES]


def segments(last_position: int, *, reverse: bool = False) -> range:
    """The numbers of all segments of a log."""
    count = (last_position >> SEGMENT_BITS) + 1
    return range(count - 1, -1, -1) if reverse else range(count)


def positions(read: Read, segment: int, start: bytes, stop: bytes) -> list[int]:
    """Positions within one segment of what is indexed from `start` to `stop` (excluded), ascending."""
    prefix = segment.to_bytes(4, "big")
    found = {
        (segment << SEGMENT_BITS) + int.from_bytes(key[-2:], "big")
        for key, _ in read.scan(TABLE, prefix + start, prefix + stop)
    }
    return sorted(found)


def exactly(kind: bytes, value: bytes) -> tuple[bytes, bytes]:
    return kind + value, kind + value + b"\xff\xff\xff"


def beginning_with(audit_id: str) -> tuple[bytes, bytes]:
    value = AUDIT_ID + audit_id_prefix(audit_id)
    return value, value + b"\xff" * (AUDIT_ID_BYTES + 3)


def between(after_us: int, upto_us: int) -> tuple[bytes, bytes]:
    """Times after `after_us`, up to and including `upto_us`."""
    return TIME + number(after_us + 1), TIME + number(upto_us + 1)


def last_commit(read: Read, upto_us: int) -> int:
    """Position of the event with changes that was answered last up to a time; 0 when there is none.

    Of the newest segment that has one: segments may overlap in time, but not by more than requests do.
    """
    for segment in segments(read.last_position(), reverse=True):
        prefix = segment.to_bytes(4, "big") + COMMIT_TIME
        for key, _ in read.scan(TABLE, prefix, prefix + number(upto_us + 1), reverse=True):
            return (segment << SEGMENT_BITS) + int.from_bytes(key[-2:], "big")
    return 0

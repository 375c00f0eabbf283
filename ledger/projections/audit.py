"""The audit index: where in the log to find the events of a user, of an object, of a time, of an audit id.

    audit    segment (4 bytes BE), kind (1), value (8 or 10), place in the segment (2 bytes BE)  ->  nothing

A segment is 4096 events. It leads the key so that all writing happens at the table's end, however long the log: an
index by user or object alone dirties a page of its own for nearly every event. A question costs one seek a segment
(2,400 for ten million events: some 5 ms). Users and objects are hashed to 8 bytes; readers compare the event itself.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

from ledger.apimachinery.remember import CHARS_MAX, remembered
from ledger.apimachinery.resource import Key
from ledger.log.api import Delete, Entry, Put, Read
from ledger.log.codec import number
from ledger.log.event import Event

TABLE = "audit"
SEGMENT_BITS = 12
PLACE = (1 << SEGMENT_BITS) - 1
AUDIT_ID_BYTES = 10
REMEMBERED_MAX = 2048  # users, objects

USER, OBJECT, AUDIT_ID = b"u", b"o", b"i"
TIME = b"t"  # when it was answered
COMMIT_TIME = b"w"  # the same, of events with changes

VALUE_KEY = struct.Struct(">L9sH")  # of a user or an object: segment, kind and hash, place
TIME_KEY = struct.Struct(">LcQH")
AUDIT_ID_KEY = struct.Struct(f">Lc{AUDIT_ID_BYTES}sH")  # a shorter one is filled up with zeros


class AuditFold:
    name = "audit"
    version = 1
    tables: tuple[str, ...] = (TABLE,)

    def changes(self, entry: Entry) -> list[Put | Delete]:
        event = entry.event
        keys = _keys(event)
        if entry.changes:
            segment, place = event.position >> SEGMENT_BITS, event.position & PLACE
            keys.append(TIME_KEY.pack(segment, COMMIT_TIME, event.answered, place))
            objects = dict.fromkeys([change.key for change in entry.changes])
            if event.resource and event.name:
                objects.pop(object_of(event), None)
            keys += [VALUE_KEY.pack(segment, OBJECT + hashed_key(key), place) for key in objects]
        return [Put(TABLE, key, b"") for key in keys]

    def of_notes(self, events: Sequence[Event]) -> dict[str, dict[bytes, bytes]]:
        return {TABLE: dict.fromkeys(chain.from_iterable(map(_keys, events)), b"")}


def _keys(event: Event) -> list[bytes]:
    """Where an event is found, whatever it changed."""
    segment, place = event.position >> SEGMENT_BITS, event.position & PLACE
    keys = [
        VALUE_KEY.pack(segment, _user(event.user.name), place),
        TIME_KEY.pack(segment, TIME, event.answered, place),
        AUDIT_ID_KEY.pack(segment, AUDIT_ID, audit_id_prefix(event.audit_id), place),
    ]
    if event.impersonated is not None:
        keys.append(VALUE_KEY.pack(segment, _user(event.impersonated.name), place))
    name, namespace = event.name, event.namespace
    if event.resource and name:
        value = _object if len(name) + len(namespace) <= CHARS_MAX else _object.__wrapped__
        keys.append(VALUE_KEY.pack(segment, value(event.api_group, event.resource, namespace, name), place))
    return keys


def object_of(event: Event) -> Key:
    """The object a request named."""
    return Key(event.api_group, event.resource, event.namespace, event.name)


def names_of(event: Event) -> tuple[str, ...]:
    """Who an event is found under."""
    return (event.user.name,) if event.impersonated is None else (event.user.name, event.impersonated.name)


@remembered(REMEMBERED_MAX)
def _user(name: str) -> bytes:
    return USER + hashed(name)


@lru_cache(REMEMBERED_MAX)
def _object(*of: str) -> bytes:
    return OBJECT + hashed_key(Key(*of))


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

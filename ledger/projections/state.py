"""The state fold: every object as it is now.

    state    object key  ->  revision (8 bytes BE), header length (4 bytes BE), header (JSON), body

The body is what a client gets, but for kind and apiVersion: metadata.resourceVersion, known only at commit, is spliced
in here. The header holds what selectors ask for, so that a list decodes no body it does not send.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import orjson

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.api import Bodies, Delete, Entry, Put
from ledger.log.codec import (
    BODY_PREFIX,
    LONG_KEY,
    PLAIN,
    changed_in,
    changed_key_and_rest,
    decode_change,
    decode_rest,
    split_change,
    table_key,
    text_item,
)
from ledger.log.event import Change, Event
from ledger.projections.api import Required, Stored

TABLE = "state"
UID_BYTES = 36  # of a uid as Kubernetes makes them
CUTS_MAX = 4096
HEAD = struct.Struct(">QL")
REVISION = struct.Struct(">Q")  # at 0
HEADER_LENGTH = struct.Struct(">L")  # at 8


class StateFold:
    """`bodies`: how bodies lie on disk."""

    name = "state"
    version = 1
    tables: tuple[str, ...] = (TABLE,)

    def __init__(self, bodies: Bodies = PLAIN) -> None:
        self.bodies = bodies

    def changes(self, entry: Entry) -> list[Put | Delete]:
        return [
            Put(TABLE, key, encode_stored(change, key, self.bodies)) if change.body is not None else Delete(TABLE, key)
            for change in entry.changes
            for key in (table_key(change.key.encode()),)
        ]

    def of_notes(self, events: Sequence[Event]) -> dict[str, dict[bytes, bytes]]:
        return {}


def splice(body: bytes, revision: int) -> bytes:
    """The body with metadata.resourceVersion, after the uid as Go prints it; first where metadata names no uid.

    What stands before the uid (name, generateName, namespace) cannot hold a quote, so the first `"uid":"` is the one.
    """
    return b"".join(spliced(body, revision))


def spliced(body: bytes, revision: int) -> tuple[bytes | memoryview, ...]:
    """The same in parts."""
    at = body.find(b'"uid":"', len(BODY_PREFIX), len(BODY_PREFIX) + 1024)
    if at >= 0 and body.find(b"{", len(BODY_PREFIX), at) < 0 and body.find(b"}", len(BODY_PREFIX), at) < 0:
        end = body.index(b'"', at + 7) + 1
        return body[:end], b',"resourceVersion":"%d"' % revision, memoryview(body)[end:]
    rest = body[len(BODY_PREFIX) :]
    comma = b"" if rest.startswith(b"}") else b","
    return BODY_PREFIX, b'"resourceVersion":"%d"' % revision, comma, rest


@cache
def after_uid(api_version: str) -> bytes:
    """What follows the uid in the header of a body written in this version."""
    return f'","{api_version}","'.encode()


class BodyCuts(dict[tuple[int, bytes], slice]):
    """Where the body lies in the rows of objects that are written in one version.

        [row[cuts[cuts.head(row)]] for row in rows]

    KeyError for a row of another version, or whose object has no uid as Kubernetes makes them; struct.error for one so short.
    A list asks this for each object, so both steps are functions in C once a header of this length was seen.
    """

    def __init__(self, api_version: str) -> None:
        self.mark = after_uid(api_version)
        self.head = struct.Struct(f">8xL{UID_BYTES + 2}x{len(self.mark)}s").unpack_from

    def __missing__(self, head: tuple[int, bytes]) -> slice:
        header_bytes, mark = head
        if mark != self.mark:
            raise KeyError(mark)
        cut = slice(HEAD.size + header_bytes, None)
        if header_bytes < CUTS_MAX:
            self[head] = cut
        return cut


body_cuts = lru_cache(CUTS_MAX)(BodyCuts)


class StoredRow(Stored):
    """An object of the state table: key and header are decoded when they are first asked for."""

    __slots__ = ("_header", "_key")

    def __init__(self, key: bytes, row: bytes) -> None:
        revision, header_bytes = HEAD.unpack_from(row)
        end = HEAD.size + header_bytes
        self.revision, self.body = revision, row[end:]
        self._key, self._header = key, row[HEAD.size : end]

    def written_in(self, api_version: str) -> bool:
        """Mostly answered by a glance at the header, which begins `["UID","VERSION",`."""
        return self._header.startswith(after_uid(api_version), UID_BYTES + 2) or self.api_version == api_version

    def __getattr__(self, name: str) -> Any:
        """Called for what is not filled in yet."""
        if name not in Stored.__slots__:
            raise AttributeError(name)
        if name == "key" and len(self._key) < LONG_KEY:
            self.key = Key.decode(self._key)
        else:
            self.uid, self.api_version, self.kind, self.labels, self.fields, *whole_key = orjson.loads(self._header)
            if whole_key:
                self.key = Key(*whole_key[0])
        return getattr(self, name)


_version_item = lru_cache(CUTS_MAX)(text_item)


class ChangedRow(Stored):
    """An object of the past, from a row of the log's changes; decoded and unpacked in the same way."""

    __slots__ = ("_row",)

    def __init__(self, revision: int, row: bytes) -> None:
        self.revision, self._row = revision, row

    def written_in(self, api_version: str) -> bool:
        """Mostly answered by a glance at the row."""
        return changed_in(self._row, _version_item(api_version)) or self.api_version == api_version

    def __getattr__(self, name: str) -> Any:
        """Called for what is not filled in yet."""
        if name not in Stored.__slots__:
            raise AttributeError(name)
        if name == "body":
            body = split_change(self._row)[1]
            assert body is not None
            self.body = splice(body, self.revision)
        else:
            key, rest = changed_key_and_rest(self._row)
            self.key = Key.decode(key)
            self.uid, self.api_version, self.kind, self.labels, self.fields = decode_rest(rest)[:5]
        return getattr(self, name)


def stored_of(change: Change, revision: int = 0) -> Stored | None:
    """What a change left, with its revision or the one given; None when it deleted the object."""
    if change.body is None:
        return None
    revision = revision or change.revision
    return Stored(
        change.key,
        revision,
        change.uid,
        change.api_version,
        change.kind,
        change.labels,
        change.fields,
        splice(change.body, revision),
    )


def encode_stored(change: Change, key: bytes, bodies: Bodies) -> bytes:
    header = [change.uid, change.api_version, change.kind, change.labels, change.fields]
    if len(key) == LONG_KEY:
        header.append(list(change.key))
    raw = orjson.dumps(header)
    assert change.body is not None
    body = bodies.seal(change.key, change.uid, splice(change.body, change.revision))
    return b"".join((HEAD.pack(change.revision, len(raw)), raw, body))


def decode_stored(key: bytes, row: bytes, bodies: Bodies = PLAIN) -> Stored:
    """The object of a row. `key` is its table key."""
    stored = StoredRow(key, row)
    if bodies is not PLAIN:
        stored.body = bodies.open(stored.key, stored.uid, stored.body)
    return stored


def decode_changed(revision: int, row: bytes, bodies: Bodies = PLAIN) -> Stored:
    """The object as a change left it that did not delete it."""
    if bodies is PLAIN:
        return ChangedRow(revision, row)
    stored = stored_of(decode_change(revision, row, bodies))
    assert stored is not None
    return stored


def header_of(row: bytes | memoryview) -> bytes:
    return bytes(row[HEAD.size : HEAD.size + _header_length(row, 8)[0]])


_header_length = HEADER_LENGTH.unpack_from


def as_stored(required: Required | None) -> tuple[bytes, bytes]:
    """What the header of every such object contains, and the row of every change that left one such; maybe others'."""
    if required is None:
        return b"", b""
    name, value = required
    if value is None:
        return orjson.dumps(name) + b":", text_item(name)
    return orjson.dumps({name: value})[1:-1], text_item(name) + text_item(value)


def bounds(resource: GroupResource, namespace: str, after: tuple[str, str] | None) -> tuple[bytes, bytes]:
    """The range of table keys of a list."""
    start = f"{resource.group}/{resource.resource}\0".encode()
    if namespace:
        start += f"{namespace}\0".encode()
    stop = start[:-1] + b"\x01"
    if after is not None:
        start = max(start, table_key(Key(*resource, *after).encode()) + b"\0")
    return start, stop


def encoded_key(raw: bytes, row: bytes) -> bytes:
    """The encoded Key of a row of the state, whole even where the table key is a shortened one."""
    return raw if len(raw) < LONG_KEY else StoredRow(raw, row).key.encode()

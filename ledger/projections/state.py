"""The state fold: every object as it is now.

    state    object key  ->  revision (8 bytes BE), header length (4 bytes BE), header (JSON), body

The body is what a client gets, but for kind and apiVersion: metadata.resourceVersion, known only at commit, is spliced
in here. The header holds what selectors ask for, so that a list decodes no body it does not send.
"""

from __future__ import annotations

import orjson

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.api import Bodies, Delete, Entry, Put
from ledger.log.codec import BODY_PREFIX, LONG_KEY, PLAIN, number, table_key
from ledger.log.event import Change
from ledger.projections.api import Stored

TABLE = "state"
HEADER = 12  # bytes before the header


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


def splice(body: bytes, revision: int) -> bytes:
    """The body with metadata.resourceVersion as its first field."""
    rest = body[len(BODY_PREFIX) :]
    comma = b"" if rest.startswith(b"}") else b","
    return b'%b"resourceVersion":"%d"%b%b' % (BODY_PREFIX, revision, comma, rest)


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
    sealed = bodies.seal(change)
    assert sealed is not None
    return b"%b%b%b%b" % (number(change.revision), len(raw).to_bytes(4, "big"), raw, splice(sealed, change.revision))


def decode_stored(key: Key, row: bytes, bodies: Bodies = PLAIN) -> Stored:
    end = HEADER + int.from_bytes(row[8:HEADER], "big")
    uid, api_version, kind, labels, fields, *whole_key = orjson.loads(row[HEADER:end])
    if whole_key:
        key = Key(*whole_key[0])
    return Stored(
        key, int.from_bytes(row[:8], "big"), uid, api_version, kind, labels, fields, bodies.open(key, uid, row[end:])
    )


def bounds(resource: GroupResource, namespace: str, after: tuple[str, str] | None) -> tuple[bytes, bytes, int]:
    """The range of table keys of a list, and how many bytes of each name the resource."""
    prefix = f"{resource.group}/{resource.resource}\0".encode()
    start = prefix + f"{namespace}\0".encode() if namespace else prefix
    stop = start[:-1] + b"\x01"
    if after is not None:
        start = max(start, table_key(Key(*resource, *after).encode()) + b"\0")
    return start, stop, len(prefix)


def key_of(resource: GroupResource, raw: bytes, prefix: int) -> Key:
    """The Key of a table key; a shortened one's true name is in the row's header."""
    namespace, _, name = raw[prefix:].partition(b"\0")
    if len(raw) == LONG_KEY:
        return Key(*resource, namespace.decode(), "")
    return Key(resource.group, resource.resource, namespace.decode(), name.decode())

"""Rows of the log as bytes.

An event is a positional CBOR array; so is a change, behind its key and body, which are read without decoding the rest.
Bodies stay opaque bytes: folding a log then costs a seventh of decoding every object. On the disk they are packed.

    events   position, 8 bytes BE  ->  digest (32 bytes, see chain) + CBOR [1, audit id, received, ...]
    changes  revision, 8 bytes BE  ->  position, received, answered, key length, body length (8+8+8+2+4 bytes BE),
                                       key, body, CBOR [1, uid, API version, ...]

The first item is the row's format. An older format is upcast when it is read; what is written is never rewritten.
What is in a row is said here; log.encoding makes its bytes in less time.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from cbor2 import dumps, loads

from ledger.apimachinery.http import User
from ledger.apimachinery.resource import Key
from ledger.log.api import Bodies, Stamp
from ledger.log.event import NO_WINDOW, Change, Event
from ledger.log.packing import pack, unpack

FORMAT = 1
UPCASTS: dict[int, Callable[[list[Any]], list[Any]]] = {}  # format n -> the row in format n + 1
BODY_PREFIX = b'{"metadata":{'
HEAD = struct.Struct(">QQQHL")
NO_BODY = 0xFFFF_FFFF  # body length of a deletion
USER, IMPERSONATED, SOURCE_IPS = 6, 8, 9  # places in an event's row
BODIES = (23, 24, 27)  # of request and response, and the rest
UID_BEGINS = dumps(FORMAT) + b"\x78\x24"  # the rest of a change's row, behind its first byte: a text of 36 bytes
VERSION_AT = 1 + len(UID_BEGINS) + 36
LONG_KEY = 481  # length of every shortened key; LMDB takes 511 bytes, and history adds 9


class Plain:
    """Bodies as they are."""

    def seal(self, key: Key, uid: str, body: bytes) -> bytes:
        return body

    def open(self, key: Key, uid: str, sealed: bytes) -> bytes:
        return sealed


PLAIN: Bodies = Plain()


def number(value: int) -> bytes:
    """8 bytes: LMDB sorts by bytes, and big-endian keeps 256 after 255."""
    return value.to_bytes(8, "big")


def table_key(encoded: bytes) -> bytes:
    """An encoded Key as it fits into a table: keys LMDB finds too long end in a digest and then sort by that."""
    if len(encoded) < LONG_KEY:
        return encoded
    return encoded[: LONG_KEY - 32] + sha256(encoded).digest()


def event_row(event: Event) -> list[Any]:
    return [
        FORMAT,
        event.audit_id,
        event.received,
        event.answered,
        event.verb,
        event.uri,
        user_row(event.user),
        event.code,
        None if event.impersonated is None else user_row(event.impersonated),
        event.source_ips,
        event.user_agent,
        event.api_group,
        event.api_version,
        event.resource,
        event.subresource,
        event.namespace,
        event.name,
        event.uid,
        event.reason,
        event.message,
        event.stage,
        event.level,
        event.content_type,
        pack(event.request_body),
        pack(event.response_body),
        event.annotations,
        event.count,
        pack(event.rest),
        event.revisions,
    ]


def decode_event(position: int, row: bytes) -> Event:
    """The event of a row without its digest."""
    fields = _current(loads(row))
    fields[USER] = _user(fields[USER])
    if fields[IMPERSONATED] is not None:
        fields[IMPERSONATED] = _user(fields[IMPERSONATED])
    fields[SOURCE_IPS] = tuple(fields[SOURCE_IPS])
    for place in BODIES:
        if fields[place]:
            fields[place] = unpack(fields[place])
    revisions = tuple(fields.pop())
    return Event(*fields[1:], position, revisions)  # type: ignore[call-arg]


def rest_row(change: Change) -> list[Any]:
    return [
        FORMAT,
        change.uid,
        change.api_version,
        change.kind,
        change.labels,
        change.fields,
        change.previous,
        change.confidence,
        change.note,
        *_doubts_row(change),
    ]


def _doubts_row(change: Change) -> list[Any]:
    """Only an import's changes have any: the others' rows end before."""
    if not change.doubts and change.window == NO_WINDOW:
        return []
    return [change.doubts, change.window]


def decode_change(revision: int, row: bytes, bodies: Bodies = PLAIN) -> Change:
    key_bytes, sealed, rest = split_change(row)
    key = Key.decode(key_bytes)
    uid, api_version, kind, labels, fields, previous, confidence, note, *doubted = decode_rest(rest)
    body = None if sealed is None else bodies.open(key, uid, sealed)
    change = Change(key, body, uid, api_version, kind, labels, fields, None, revision, previous, confidence, note)
    if doubted:
        change.doubts, change.window = tuple(doubted[0]), tuple(doubted[1])
    return change


def decode_rest(rest: bytes) -> list[Any]:
    """What follows the body in a change's row: uid, API version, kind, labels, fields, previous, confidence, note;
    behind them, where an import was in doubt, doubts and window.
    """
    return _current(loads(rest))[1:]


def split_change(row: bytes) -> tuple[bytes, bytes | None, bytes]:
    """(encoded key, body as `Bodies` gave it, the rest) of a change's row."""
    _, _, _, key_bytes, body_bytes = HEAD.unpack_from(row)
    body = HEAD.size + key_bytes
    if body_bytes == NO_BODY:
        return row[HEAD.size : body], None, row[body:]
    rest = body + body_bytes
    return row[HEAD.size : body], unpack(row[body:rest]), row[rest:]


def text_item(text: str) -> bytes:
    """A text as it stands in rows."""
    return dumps(text)


def packed_body(row: bytes, version: bytes) -> bytes:
    """The body in a change's row as it lies there. KeyError of another version than `version`, a text item."""
    _, _, _, key_bytes, body_bytes = HEAD.unpack_from(row)
    body = HEAD.size + key_bytes
    rest = body + body_bytes
    if not _tells(row, rest, version):
        written = decode_rest(row[rest:])[1]
        if dumps(written) != version:
            raise KeyError(written)
    return row[body:rest]


def changed_in(row: bytes, version: bytes) -> bool:
    """Whether a change's row, of a change with a body and a uid as Kubernetes makes them, tells this version, a text item.

    False where that cannot be seen at a glance.
    """
    _, _, _, key_bytes, body_bytes = HEAD.unpack_from(row)
    return _tells(row, HEAD.size + key_bytes + body_bytes, version)


def _tells(row: bytes, rest: int, version: bytes) -> bool:
    return row.startswith(UID_BEGINS, rest + 1) and row.startswith(version, rest + VERSION_AT)


def changed_key_and_rest(row: bytes) -> tuple[bytes, bytes]:
    """As `split_change`, of a change with a body, which stays packed."""
    _, _, _, key_bytes, body_bytes = HEAD.unpack_from(row)
    body = HEAD.size + key_bytes
    return row[HEAD.size : body], row[body + body_bytes :]


def changed_key(row: bytes) -> bytes:
    """The encoded key of a change's row."""
    _, _, _, key_bytes, _ = HEAD.unpack_from(row)
    return row[HEAD.size : HEAD.size + key_bytes]


def decode_stamp(row: bytes) -> Stamp:
    return Stamp(*HEAD.unpack_from(row)[:3])


def user_row(user: User) -> list[Any]:
    return [user.name, user.uid, user.groups, dict(user.extra)]


def _user(row: list[Any]) -> User:
    name, uid, groups, extra = row
    return User(name, uid, tuple(groups), {key: tuple(values) for key, values in extra.items()})


def _current(fields: list[Any]) -> list[Any]:
    while fields[0] != FORMAT:
        fields = UPCASTS[fields[0]](fields)
    return fields


def without_surrogates(event: Event) -> Event:
    """The event with "?" for the lone surrogates in its texts, which have no UTF-8 form."""
    return decode_event(event.position, dumps(_without_surrogates(event_row(event))))


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, (list, tuple)):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value

"""Rows as bytes, made from parts: most of an event is as it was in the last one, so what repeats is encoded once.

The bytes are those of `dumps(event_row(event))` and `dumps(rest_row(change))`, which say what is in a row (log.codec).
"""

from __future__ import annotations

import struct
from operator import attrgetter
from typing import Any

from cbor2 import dumps

from ledger.log.codec import FORMAT, HEAD, NO_BODY, rest_row, user_row, without_surrogates
from ledger.log.event import NO_WINDOW, Change, Event
from ledger.log.packing import pack

EVENT_BEGINS = b"\x98\x1d" + dumps(FORMAT)  # an array of 29
EVENT_ENDS = dumps(1) + dumps(b"") + dumps([])
ONE_REVISION = dumps(1) + dumps(b"") + b"\x81"  # an array of 1
CHANGE_BEGINS = b"\x89" + dumps(FORMAT)  # an array of 9
NO_BODY_BYTES = dumps(b"")
TIMES = struct.Struct(">BQBQ")
_EIGHT_BYTES = 0x1B  # how CBOR begins a number above 32 bits
REMEMBERED_MAX = 2048  # parts of rows
REMEMBERED_BYTES_MAX = 2048  # of one of them


def encode_event(event: Event) -> bytes:
    """The bytes of `dumps(event_row(event))`, made from parts: most of an event is as it was in the last one."""
    received, answered = event.received, event.answered
    early = received <= 0xFFFF_FFFF or answered <= 0xFFFF_FFFF  # no time that a server's clock shows
    plain = event.count == 1 and not event.rest and not event.revisions
    return b"".join(
        (
            EVENT_BEGINS,
            _text(event.audit_id),
            _joined(received, answered) if early else TIMES.pack(_EIGHT_BYTES, received, _EIGHT_BYTES, answered),
            _of_one(event) if event.uid and event.impersonated is None else _asked_and_answered(event),
            dumps(pack(event.request_body)) if event.request_body else NO_BODY_BYTES,
            dumps(pack(event.response_body)) if event.response_body else NO_BODY_BYTES,
            _texts(event.annotations),
            EVENT_ENDS if plain else _ended(event),
        )
    )


def encode_note(event: Event) -> tuple[Event, bytes]:
    """An event and its row. What a client sent as text and is none has "?" in both: its request still leaves an event."""
    try:
        return event, encode_event(event)
    except UnicodeEncodeError:
        event = without_surrogates(event)
        return event, encode_event(event)


def _asked_and_answered(event: Event) -> bytes:
    """All fields from the verb to the content type of the body."""
    if event.impersonated is not None:
        return _repeating(event)
    extra = event.user.extra
    alike = (_alike(event), tuple(extra.items())) if extra else _alike(event)
    return _remembered.get(alike) or _remember(alike, _repeating(event))


# Names in the order of the row; the user's three stand for its row.
_BY = (
    "user.name",
    "user.uid",
    "user.groups",
    "code",
    "source_ips",
    "user_agent",
    "api_group",
    "api_version",
    "resource",
    "subresource",
    "namespace",
)
_HOW = ("reason", "message", "stage", "level", "content_type")
_by, _how = attrgetter(*_BY), attrgetter(*_HOW)
_alike = attrgetter("verb", "uri", *_BY, "name", "uid", *_HOW)


def _of_one(event: Event) -> bytes:
    """The same of a request that tells the object's uid, as a change does: URI, name and uid are hardly ever seen again, and
    are left out of what is remembered."""
    by, how, extra = _by(event), _how(event), event.user.extra
    alike = (by, tuple(extra.items())) if extra else by
    asked = _remembered.get(alike)
    if asked is None:
        asked = _remember(alike, _joined(user_row(event.user), by[3], None, *by[4:]))
    ended = _remembered.get(how) or _remember(how, _joined(*how))
    return b"".join((_text(event.verb), _text(event.uri), asked, _text(event.name), _text(event.uid), ended))


def _repeating(event: Event) -> bytes:
    impersonated = None if event.impersonated is None else user_row(event.impersonated)
    verb, uri, _, _, _, code, *others = _alike(event)
    return _joined(verb, uri, user_row(event.user), code, impersonated, *others)


def _ended(event: Event) -> bytes:
    """Count, rest and revisions."""
    revisions = event.revisions
    if event.count == 1 and not event.rest and len(revisions) == 1:
        return ONE_REVISION + dumps(revisions[0])
    return _joined(event.count, pack(event.rest), revisions)


def _texts(texts: dict[str, str]) -> bytes:
    items = tuple(texts.items())
    return _remembered.get(items) or _remember(items, dumps(texts))


_remembered: dict[tuple[Any, ...], bytes] = {}  # parts of rows


def _remember(of: tuple[Any, ...], part: bytes) -> bytes:
    """Keeps a part of a row, unless a client could fill the memory with its like."""
    if len(part) <= REMEMBERED_BYTES_MAX:
        if len(_remembered) >= REMEMBERED_MAX:
            _remembered.clear()
        _remembered[of] = part
    return part


def _joined(*values: Any) -> bytes:
    """CBOR items one behind the other, as they stand in an array."""
    return b"".join([dumps(value) for value in values])


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _TEXT_BEGINS[len(encoded)] + encoded if len(encoded) < 256 else dumps(text)


_TEXT_BEGINS = [bytes((0x60 + length,)) if length < 24 else bytes((0x78, length)) for length in range(256)]


def encode_change(change: Change, key: bytes, event: Event, position: int, sealed: bytes | None) -> bytes:
    """The row of a change that `event` made; `sealed` is the body as `Bodies` gives it."""
    if sealed is not None:
        sealed = pack(sealed)
    head = HEAD.pack(position, event.received, event.answered, len(key), NO_BODY if sealed is None else len(sealed))
    return b"".join((head, key, sealed or b"", _rest_of_change(change)))


def _rest_of_change(change: Change) -> bytes:
    """The bytes of `dumps(rest_row(change))`, made from parts as an event's are."""
    if change.doubts or change.window != NO_WINDOW:
        return dumps(rest_row(change))
    kind, known = (change.api_version, change.kind), (change.confidence, change.note)
    return b"".join(
        (
            CHANGE_BEGINS,
            _text(change.uid),
            _remembered.get(kind) or _remember(kind, _joined(*kind)),
            _texts(change.labels),
            _texts(change.fields),
            dumps(change.previous),
            _remembered.get(known) or _remember(known, _joined(*known)),
        )
    )

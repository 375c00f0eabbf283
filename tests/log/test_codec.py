"""Rows of events: made from remembered parts, yet the bytes are those of the plain encoding."""

from __future__ import annotations

import random

from cbor2 import dumps

from ledger.apimachinery.http import User
from ledger.apimachinery.resource import Key
from ledger.log.codec import HEAD, decode_change, decode_event, event_row, rest_row
from ledger.log.encoding import REMEMBERED_BYTES_MAX, encode_change, encode_event
from ledger.log.event import NO_WINDOW, Change, Event

TEXTS = ["", "a", "ä" * 11, "x" * 23, "x" * 24, "y" * 255, "z" * 256, "w" * (REMEMBERED_BYTES_MAX + 1)]
NUMBERS = [0, 1, 0xFFFF_FFFF, 0x1_0000_0000, 1_790_000_000_000_000]
USERS = [
    User("alice"),
    User("bob", "uid", ("devs", "system:authenticated"), {"key": ("1", "2")}),
    User("bob", "uid", ("devs", "system:authenticated"), {"key": ("1",), "other": ()}),
]


def some_event(rng: random.Random) -> Event:
    def text() -> str:
        return rng.choice(TEXTS)

    return Event(
        audit_id=text(),
        received=rng.choice(NUMBERS),
        answered=rng.choice(NUMBERS),
        verb=text(),
        uri=text(),
        user=rng.choice(USERS),
        code=rng.choice([200, 404]),
        impersonated=rng.choice([None, *USERS]),
        source_ips=rng.choice([(), ("127.0.0.1",)]),
        user_agent=text(),
        resource=text(),
        namespace=text(),
        name=text(),
        uid=text(),
        reason=text(),
        message=text(),
        content_type=text(),
        request_body=rng.choice([b"", b"{}", b"x" * 300, b'{"metadata":{}}' * 50]),
        response_body=rng.choice([b"", b"{}"]),
        annotations=rng.choice([{}, {"decision": text(), "reason": text()}]),
        count=rng.choice([1, 2, 1000]),
        rest=rng.choice([b"", b"{}"]),
        revisions=rng.choice([(), (7,), (7, 1 << 40)]),
    )


def test_a_row_is_the_plain_encoding_and_reads_back() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(2000):
        event = some_event(rng)
        assert encode_event(event) == dumps(event_row(event))
        again = decode_event(0, encode_event(event))
        assert again == event.at(0, event.revisions)


def test_a_changes_row_is_the_plain_encoding_and_reads_back() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(500):
        texts = [rng.choice(TEXTS) for _ in range(7)]
        change = Change(
            Key("", "pods", "n", "a"),
            rng.choice([None, b'{"metadata":{}}', b'{"metadata":{}}' * 50]),
            *texts[:3],
            rng.choice([{}, {"app": texts[3]}]),
            rng.choice([{}, {"spec.nodeName": texts[4]}]),
            None,
            7,
            rng.choice([0, 3]),
            *texts[5:],
            rng.choice([(), ("status", "*")]),
            rng.choice([NO_WINDOW, (1, 7)]),
        )
        row = encode_change(
            change, change.key.encode(), Event("id", 1, 2, "create", "/", User("a"), 201), 5, change.body
        )
        assert row.endswith(dumps(rest_row(change))) and HEAD.unpack_from(row)[:3] == (5, 1, 2)
        assert decode_change(7, row) == change

"""Rows of events: made from remembered parts, yet the bytes are those of the plain encoding."""

from __future__ import annotations

import random

from cbor2 import dumps

from ledger.apimachinery.http import User
from ledger.log.codec import REMEMBERED_BYTES_MAX, decode_event, encode_event, event_row
from ledger.log.event import Event

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

"""The hash chain: what makes an altered, missing or reordered event show.

    digest(event) = sha256(event row + sha256(change row) of each change)      stored in front of the event row
    link(n)       = sha256(link(n - 1) + digest(n)),  link(0) = 32 zero bytes  stored for each 1024th event and the last

A digest is all that a link needs, so retention can later drop an event or a change and keep its digest: the chain still
verifies, and so does what was kept. Hashed are the stored bytes themselves; making CBOR canonical would cost five times
as much. The chain proves order and wholeness to whoever has an earlier link; it does not prove who wrote it.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

SEGMENT = 1024  # events
DIGEST_BYTES = 32
GENESIS = bytes(DIGEST_BYTES)


def hashes_of(change_rows: Iterable[bytes]) -> list[bytes]:
    return [sha256(row).digest() for row in change_rows]


def digest_of(event_row: bytes, change_hashes: Iterable[bytes]) -> bytes:
    """Of an event and the hashes of its changes, which stay when the changes' rows are dropped."""
    whole = sha256(event_row)
    for one in change_hashes:
        whole.update(one)
    return whole.digest()


def link(previous: bytes, event_digest: bytes) -> bytes:
    return sha256(previous + event_digest).digest()

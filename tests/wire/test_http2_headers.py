"""Header blocks: ours are what hpack understands, and hpack's are what we understand."""

from __future__ import annotations

import random

import hpack
import pytest
from hpack.exceptions import HPACKError, OversizedHeaderListError

from ledger.wire.answers import http2_headers
from ledger.wire.http2_headers import BrokenCompression, Field, HeaderDecoder, HeaderEncoder, block_of

GET = b"\x82\x84\x86"
NAMES = [b":method", b":path", b":status", b"accept", b"content-type", b"audit-id", b"x", b"x" * 130]
VALUES = [b"", b"GET", b"200", b"application/json", b"/api/v1/pods", b"y" * 127, b"\xff\x00", b"z" * 5000]


def some_fields(rng: random.Random) -> list[Field]:
    return [(rng.choice(NAMES), rng.choice(VALUES)) for _ in range(rng.randrange(6))]


def test_hpack_reads_what_we_write() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng, encoder, decoder = random.Random(seed), HeaderEncoder(), hpack.Decoder()
    for _ in range(300):
        fields = some_fields(rng)
        assert list(decoder.decode(encoder.encode(fields), raw=True)) == fields
        assert not decoder.header_table.dynamic_entries


def test_the_block_of_a_response_is_that_of_its_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("answers", "http2_headers"):
        monkeypatch.setattr(f"ledger.wire.{module}.date_value", lambda: b"Sat, 28 Nov 2026 12:00:00 GMT")
    headers = [
        ("audit-id", "x"),
        ("Content-Type", "a/b "),
        ("connection", "close"),
        ("warning", "a\r\nb"),
        ("x", "y" * 600),
    ]
    assert block_of(200, headers, 5) == HeaderEncoder().encode(http2_headers(200, headers, 5))
    assert block_of(304, [], None) == HeaderEncoder().encode(http2_headers(304, [], None))


def test_a_peer_that_allows_no_table_is_told_that_we_use_none() -> None:
    decoder = hpack.Decoder()
    decoder.max_allowed_table_size = 0
    assert list(decoder.decode(HeaderEncoder().encode([(b":status", b"200")]))) == [(":status", "200")]


def test_we_read_what_hpack_writes_as_hpack_does() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng, encoder = random.Random(seed), hpack.Encoder()
    ours, theirs = HeaderDecoder(100_000), hpack.Decoder(100_000)
    fields: list[Field] = []
    for _ in range(500):
        if rng.random() < 0.1:
            encoder.header_table_size = rng.choice([0, 100, 1000, 4096])
        fields = fields if rng.random() < 0.5 else some_fields(rng)
        block = encoder.encode(fields, huffman=rng.random() < 0.8)
        assert ours.decode(block) == list(theirs.decode(block, raw=True)) == fields
        assert ours.entries == theirs.header_table.dynamic_entries


def test_we_refuse_what_hpack_refuses() -> None:
    """But for integers of more than 35 bits, and more than two changes of the table's size in one block."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(3000):
        encoder, ours, theirs = hpack.Encoder(), HeaderDecoder(8000), hpack.Decoder(8000)
        for _ in range(3):
            block = bytearray(encoder.encode(some_fields(rng)) or GET)
            for _ in range(rng.randrange(3)):
                block[rng.randrange(len(block)) : rng.randrange(len(block) + 1)] = rng.randbytes(rng.randrange(4))
                block = block or bytearray(b"\x82")
            expected = outcome(lambda: list(theirs.decode(bytes(block), raw=True)))  # noqa: B023
            got = outcome(lambda: ours.decode(bytes(block)))  # noqa: B023
            if block[:1] < b"\x20" or block[:1] >= b"\x40":
                assert got == expected, bytes(block)
            if got is None or got != expected:
                break


def outcome(decode: object) -> object:
    assert callable(decode)
    try:
        return decode()
    except (HPACKError, BrokenCompression):
        return None


def test_a_block_that_comes_again_means_the_same_until_the_table_changes() -> None:
    decoder = HeaderDecoder(1000)
    first = [(b"x", b"1")]
    assert decoder.decode(b"\x40\x01x\x011") == first
    assert decoder.decode(b"\xbe") == decoder.decode(b"\xbe") == first
    assert decoder.decode(b"\x40\x01x\x012") == [(b"x", b"2")]
    assert decoder.decode(b"\xbe") == [(b"x", b"2")]
    assert decoder.decode(b"\x20\x82") == [(b":method", b"GET")]
    with pytest.raises(BrokenCompression):
        decoder.decode(b"\xbe")


def test_a_list_of_fields_that_is_too_long_is_named_so() -> None:
    with pytest.raises(OversizedHeaderListError):
        HeaderDecoder(100).decode(b"\x82" * 3)


@pytest.mark.parametrize(
    "block", [b"\xff" * 10, b"\x20" * 3 + GET, b"\x3f\xe1\x1f\x20\x20" + GET, b"\x3f", b"\x80", b"\x82\x20"]
)
def test_broken_compression_is_named_so(block: bytes) -> None:
    with pytest.raises(BrokenCompression):
        HeaderDecoder(1000).decode(block)


@pytest.mark.parametrize("block", [GET, b"\x20" + GET, b"\x20\x3f\xe1\x1f" + GET, b""])
def test_up_to_two_changes_of_the_table_are_taken(block: bytes) -> None:
    assert len(HeaderDecoder(1000).decode(block)) == (3 if block else 0)

"""Bodies as they lie in the log: packed by zstd, with a dictionary of what Kubernetes objects have in common.

A body of 1.5 KB becomes some 200 bytes, and unpacking it takes microseconds. What does not shrink stays as it is; the
first bytes of a packed one tell it, and the number of its dictionary is in it. A dictionary is never changed, only followed
by another number: the log needs each that it was ever written with. Made by tools/generate/dictionary.py; see
docs/adr/0014-packed-bodies.md.
"""

from __future__ import annotations

import threading
from functools import cache
from importlib.resources import files

import zstandard

MAGIC = b"\x28\xb5\x2f\xfd"  # of every zstd frame
LATEST = 1  # the dictionary to pack with
LEVEL = 3
PACKED_FROM_BYTES = 200  # what is shorter is not worth it
BODY_BYTES_MAX = 1 << 30

_own = threading.local()  # compressors give up the GIL while they work, and must not be shared


def pack(body: bytes) -> bytes:
    if len(body) < PACKED_FROM_BYTES and not body.startswith(MAGIC):
        return body
    packer = getattr(_own, "packer", None)
    if packer is None:
        dictionary = _dictionary(LATEST)
        packer = _own.packer = zstandard.ZstdCompressor(level=LEVEL, dict_data=dictionary, write_checksum=False)
    packed: bytes = packer.compress(body)
    # A body that looks packed is packed whatever it takes, so that nothing has to be guessed.
    return packed if len(packed) < len(body) or body.startswith(MAGIC) else body


def unpack(stored: bytes) -> bytes:
    if not stored.startswith(MAGIC):
        return stored
    unpacker = _unpacker(zstandard.get_frame_parameters(stored).dict_id)
    body: bytes = unpacker.decompress(stored, max_output_size=BODY_BYTES_MAX)
    return body


def unpack_all(stored: list[bytes]) -> list[bytes]:
    """The same of many, which then takes half as long."""
    packed: list[bytes | bytearray | memoryview] = [one for one in stored if one.startswith(MAGIC)]
    if not packed:
        return stored
    try:
        bodies = iter(_unpacker(LATEST).multi_decompress_to_buffer(packed))
    except zstandard.ZstdError:  # one has another dictionary
        return [unpack(one) for one in stored]
    return [next(bodies).tobytes() if one.startswith(MAGIC) else one for one in stored]


def unpacked_bytes(stored: bytes) -> int:
    return zstandard.frame_content_size(stored) if stored.startswith(MAGIC) else len(stored)


def _unpacker(number: int) -> zstandard.ZstdDecompressor:
    unpackers: dict[int, zstandard.ZstdDecompressor] | None = getattr(_own, "unpackers", None)
    if unpackers is None:
        unpackers = _own.unpackers = {}
    unpacker = unpackers.get(number)
    if unpacker is None:
        unpacker = unpackers[number] = zstandard.ZstdDecompressor(dict_data=_dictionary(number))
    return unpacker


@cache
def _dictionary(number: int) -> zstandard.ZstdCompressionDict:
    found = files("ledger.log") / "data" / f"bodies-{number}.dictionary"
    dictionary = zstandard.ZstdCompressionDict(found.read_bytes())
    if number == LATEST:
        dictionary.precompute_compress(level=LEVEL)
    return dictionary

"""The journal: events that were answered and are not committed yet, kept where a kill of the process cannot reach.

A read must not wait for the disk, yet its event must not die with the process. So the row of its event is copied into a
mapped file before the answer goes out: the pages belong to the kernel, and a copy costs no system call. Rows stay in
two halves, filled in turn; a half is written over only when all of its rows are committed.

    header    magic (16 bytes), token (16 bytes), up to 4096
    half      rows one behind the other: length, checksum, position (4+4+8 bytes LE), row; then a length of 0

The token is in the log's `meta` as well. It changes in the transaction that takes rows over, so that no row is ever
taken twice, nor by a log it does not belong to. The file is never synced: when the machine dies, so do the events of
the last reads. See docs/adr/0012-journal-of-reads.md.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

FILE = "ledger.journal"
MAGIC = b"ledger journal 1"
TOKEN_BYTES = 16
HALVES_AT = 4096
HALF_BYTES = 1 << 20
ROW = struct.Struct("<LLQ")
END = bytes(4)  # a length of 0
ROW_BYTES, END_BYTES = ROW.size, len(END)  # of what is before a row, and behind the last one


def new_token() -> bytes:
    return os.urandom(TOKEN_BYTES)


class Journal:
    """The journal of a log that is open for writing. Raises OSError when there is no room for it on the disk."""

    def __init__(self, data_dir: Path, token: bytes, name: str = FILE) -> None:
        assert len(token) == TOKEN_BYTES
        file_bytes = HALVES_AT + 2 * HALF_BYTES
        file = os.open(data_dir / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(file, file_bytes)
            os.posix_fallocate(file, 0, file_bytes)  # storing to a page that the disk cannot hold would be a SIGBUS
            self._map = mmap.mmap(file, file_bytes)
        finally:
            os.close(file)
        self._seed = crc32(token)
        self._start = self._at = HALVES_AT
        self._last = [0, 0]  # position of the last row in each half
        for half in range(2):
            start = HALVES_AT + half * HALF_BYTES
            self._map[start : start + len(END)] = END
        self._map[: len(MAGIC) + TOKEN_BYTES] = MAGIC + token

    def put(self, position: int, row: bytes, committed: int) -> bool:
        """Keeps the row of an event, given the last position that is committed. False: there is no room for it now."""
        half, length = self._start > HALVES_AT, len(row)
        if self._last[half] <= committed:
            self._at = self._start  # a quiet server stays within a few pages
        end = self._at + ROW_BYTES + length
        if end + END_BYTES > self._start + HALF_BYTES:
            if ROW_BYTES + length + END_BYTES > HALF_BYTES or self._last[not half] > committed:
                return False
            half = not half
            self._start = self._at = HALVES_AT + half * HALF_BYTES
            end = self._at + ROW_BYTES + length
        packed = ROW.pack(length, crc32(row, self._seed), position)
        self._map[self._at : end + END_BYTES] = b"".join((packed, row, END))
        self._at = end
        self._last[half] = position
        return True

    def close(self) -> None:
        self._map.close()


def left_behind(data_dir: Path, token: bytes, committed: int, name: str = FILE) -> list[bytes]:
    """The rows of a log's journal that come after its last committed position, in order.

    Empty where there is no journal, or another log's; what was only half written is left out.
    """
    try:
        content = (data_dir / name).read_bytes()
    except OSError:
        return []
    if not content.startswith(MAGIC + token) or len(token) != TOKEN_BYTES:
        return []
    seed = crc32(token)
    found = [
        row
        for start in (HALVES_AT, HALVES_AT + HALF_BYTES)
        for row in _rows(content[start : start + HALF_BYTES], seed)
        if row[0] > committed
    ]
    return [row for _, row in sorted(found)]


def _rows(half: bytes, seed: int) -> Iterator[tuple[int, bytes]]:
    """(position, row) of all rows in a half, up to the first that is not whole."""
    at = 0
    while at + ROW.size <= len(half):
        length, checksum, position = ROW.unpack_from(half, at)
        row = half[at + ROW.size : at + ROW.size + length]
        if not length or len(row) < length or crc32(row, seed) != checksum:
            return
        yield position, row
        at += ROW.size + length

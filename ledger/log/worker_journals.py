"""The journals of worker processes: what each has answered and the writer has not committed yet.

A worker numbers the events of its reads from 1, keeps each in a journal of its own (log.journal) and sends it to the
writer. The transaction that commits them says in `meta` up to which number they are in the log:

    meta    "journal." + name  ->  token (16 bytes), number of the last event taken (8 bytes BE)

So whoever takes over after a kill, of the worker or of the writer, takes each event once. The token tells the journal
of this worker from that of an earlier one with its name. A worker holds a lock on its journal as long as it lives: one
that has outlived its writer may still note an event, so nobody takes over before it is gone.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import NamedTuple

from ledger.log.api import InUse, Read
from ledger.log.codec import number
from ledger.log.journal import TOKEN_BYTES, left_behind

PREFIX = b"journal."
PATIENCE_S = 10.0  # with a worker whose writer was killed: it ends as soon as it notices
LOOK_S = 0.01


class Taken(NamedTuple):
    """How far the events of one worker are in the log, or in a batch on its way there."""

    token: bytes
    upto: int

    def encode(self) -> bytes:
        return self.token + number(self.upto)

    @classmethod
    def decode(cls, row: bytes) -> Taken:
        return cls(row[:TOKEN_BYTES], int.from_bytes(row[TOKEN_BYTES:], "big"))


def file_of(name: str) -> str:
    return f"ledger.journal.{name}"


def key_of(name: str) -> bytes:
    return PREFIX + name.encode()


def stored(read: Read) -> dict[str, Taken]:
    """What the log says of each worker that was at work when it was last written."""
    rows = read.scan("meta", PREFIX, PREFIX[:-1] + bytes([PREFIX[-1] + 1]))
    return {key[len(PREFIX) :].decode(): Taken.decode(row) for key, row in rows}


def hold(data_dir: Path, name: str) -> int:
    """Locks a journal for the process that fills it, until the descriptor is closed. Raises OSError."""
    file = os.open(data_dir / file_of(name), os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file


def wait_until_left(data_dir: Path, name: str) -> None:
    """Returns once no process fills that journal any more. Raises InUse when one does not end."""
    try:
        file = os.open(data_dir / file_of(name), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    until = time.monotonic() + PATIENCE_S
    try:
        while not _is_free(file):
            if time.monotonic() > until:
                raise InUse(f"{data_dir} is in use by a worker process of a server that has ended")
            time.sleep(LOOK_S)
    finally:
        os.close(file)


def _is_free(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def rows_left(data_dir: Path, name: str, taken: Taken) -> list[bytes]:
    """The rows in a worker's journal that were not taken, in order."""
    return left_behind(data_dir, taken.token, taken.upto, file_of(name))


def discard(data_dir: Path, name: str) -> None:
    """Removes a journal whose events are all in the log."""
    (data_dir / file_of(name)).unlink(missing_ok=True)

"""Is it true: checks the hash chain, folds the whole log again and compares every projection byte for byte."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from cbor2 import CBORDecodeError

from ledger.log.api import Damaged, Fold, Read
from ledger.log.chain import DIGEST_BYTES, GENESIS, SEGMENT, digest, link
from ledger.log.codec import decode_event, number
from ledger.log.lmdb_file import LmdbFile
from ledger.log.refold import Progress, refold
from ledger.log.sequencer import HEAD_KEY, Head
from ledger.projections.store import Store, folds

END = b"\xff" * 512  # above every table key


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `damage` is None when the chain is unbroken and all projections are what the log folds to."""

    events: int
    changes: int
    revision: int
    link: str  # of the last event, hexadecimal: publish it, and later verification proves origin as well as order
    damage: Damaged | None = None

    @property
    def intact(self) -> bool:
        return self.damage is None


def verify(
    store: Store, progress: Progress | None = None, scratch_dir: Path | None = None, head_link: str = ""
) -> Report:
    """Verifies the log as it stands now; a running server may go on writing. `head_link`: a link published earlier.

    Reads everything once for the chain and once for the folds, which go to a scratch file in `scratch_dir` (default:
    the system's temporary directory). `progress` counts the latter's events.
    """
    with store.read() as read:
        head = Head.decode(read.get("meta", HEAD_KEY))
        changes = 0
        damage: Damaged | None = None
        try:
            changes = check_chain(read, head, head_link)
            with tempfile.TemporaryDirectory(prefix="ledger-verify-", dir=scratch_dir) as scratch:
                check_folds(read, head, folds(store.bodies), Path(scratch), progress)
        except Damaged as error:
            damage = error
        return Report(head.position, changes, head.revision, head.link.hex(), damage)


def check_chain(read: Read, head: Head, wanted: str = "") -> int:
    """The number of changes. Raises Damaged with the first event whose bytes, place or link do not fit."""
    reached, position, changes = GENESIS, 0, 0
    seen = wanted in ("", reached.hex())
    for key, row in read.scan("events", b"", END):
        position += 1
        if key != number(position):
            raise Damaged(position, "it is missing")
        event_digest, event_row = row[:DIGEST_BYTES], row[DIGEST_BYTES:]
        change_rows = _change_rows(read, position, event_row)
        if digest(event_row, change_rows) != event_digest:
            raise Damaged(position, "its bytes, or those of its changes, are not what was recorded")
        changes += len(change_rows)
        reached = link(reached, event_digest)
        seen = seen or reached.hex() == wanted
        if position % SEGMENT == 0 and read.get("chain", key) != reached:
            raise Damaged(position - SEGMENT + 1, f"it or one of the next {SEGMENT - 1} was replaced")
    if position != head.position:
        raise Damaged(position + 1, "it is missing")
    if reached != head.link:
        raise Damaged(position - position % SEGMENT + 1, "it or a later one was replaced")
    if not seen:
        raise Damaged(1, f"no event has the link {wanted}: this is not the log that it was published of")
    _check_orphans(read, changes)
    return changes


def check_folds(
    read: Read, head: Head, checked: Sequence[Fold], scratch: Path, progress: Progress | None = None
) -> None:
    """Raises Damaged when a table differs from what the log folds to."""
    tables = [table for fold in checked for table in fold.tables]
    target = LmdbFile(scratch, tables, read.bodies, relaxed=True)
    try:
        refold(_Pinned(read), target, checked, 0, head.position, progress)
        with target.read() as again:
            for table in tables:
                _compare(table, read.scan(table, b"", END), again.scan(table, b"", END))
    finally:
        target.close()


Rows = Iterator[tuple[bytes, bytes]]


def _compare(table: str, stored: Rows, folded: Rows) -> None:
    for found, expected in zip_longest(stored, folded):
        if found != expected:
            key = min(row[0] for row in (found, expected) if row is not None)
            raise Damaged(0, f"projection {table} differs from the log at {key!r}; `ledger replay rebuild` mends it")


def _change_rows(read: Read, position: int, event_row: bytes) -> list[bytes]:
    try:
        revisions = decode_event(position, event_row).revisions
    except (CBORDecodeError, ValueError, TypeError, KeyError, IndexError) as error:
        raise Damaged(position, f"it cannot be decoded: {error}") from error
    rows = []
    for revision in revisions:
        row = read.get("changes", number(revision))
        if row is None:
            raise Damaged(position, f"its change, revision {revision}, is missing")
        rows.append(row)
    return rows


def _check_orphans(read: Read, changes: int) -> None:
    """Changes that no event tells of: all that the events name are there, so counting finds out."""
    if sum(1 for _ in read.scan("changes", b"", END)) == changes:
        return
    for key, _ in read.scan("changes", b"", END):
        revision = int.from_bytes(key, "big")
        stamp = read.stamp(revision)
        event = read.event(stamp.position) if stamp is not None else None
        if event is None or revision not in event.revisions:
            raise Damaged(stamp.position if stamp else 0, f"it did not make revision {revision}, which says so")


class _Pinned:
    """A log that is read in one transaction, for refold."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def read(self) -> AbstractContextManager[Read]:
        return nullcontext(self._read)

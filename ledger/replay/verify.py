"""Is it true: checks the hash chain, folds the whole log again and compares every projection byte for byte."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path

from cbor2 import CBORDecodeError

from ledger.log.api import Damaged, Fold, Read, Retained
from ledger.log.chain import DIGEST_BYTES, GENESIS, SEGMENT, digest_of, link
from ledger.log.codec import decode_event, number
from ledger.log.lmdb_file import LmdbFile
from ledger.log.refold import Progress, refold
from ledger.log.rows import is_dropped
from ledger.log.sequencer import HEAD_KEY, Head
from ledger.projections.retention import Dropped
from ledger.projections.store import Store, folds

END = b"\xff" * 512  # above every table key
NO_DROPS = Dropped(0, 0)
NOTHING_DROPPED = Retained({}, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `damage` is None when the chain is unbroken and all projections are what the log folds to."""

    events: int  # positions of the log, with those dropped
    changes: int
    revision: int
    link: str  # of the last event, hexadecimal: publish it, and later verification proves origin as well as order
    damage: Damaged | None = None
    dropped: Dropped = NO_DROPS  # by retention: what is proven of these is that they were there
    retained: Retained = NOTHING_DROPPED

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
        changes, dropped = 0, NO_DROPS
        damage: Damaged | None = None
        try:
            changes, dropped = check_chain(read, head, head_link)
            with tempfile.TemporaryDirectory(prefix="ledger-verify-", dir=scratch_dir) as scratch:
                check_folds(read, head, folds(store.bodies), Path(scratch), progress)
        except Damaged as error:
            damage = error
        return Report(head.position, changes, head.revision, head.link.hex(), damage, dropped, read.retained())


def check_chain(read: Read, head: Head, wanted: str = "") -> tuple[int, Dropped]:
    """The number of changes, and what retention dropped.

    Raises Damaged with the first event whose bytes, place or link do not fit.
    """
    upto = read.retained().upto
    reached, position, changes = GENESIS, 0, 0
    dropped_events = dropped_changes = 0
    seen = wanted in ("", reached.hex())
    for key, row in read.scan("events", b"", END):
        found = int.from_bytes(key, "big")
        if found != position + 1:
            reached = _link_after_gap(read, position, found - 1, upto)
            seen = seen or reached.hex() == wanted
            dropped_events += found - 1 - position
        position = found
        event_digest, event_row = row[:DIGEST_BYTES], row[DIGEST_BYTES:]
        if not event_row:
            if position > upto:
                raise Damaged(position, "only its digest is there, though retention did not get so far")
            dropped_events += 1
        else:
            hashes, dropped = _change_hashes(read, position, event_row, upto)
            if digest_of(event_row, hashes) != event_digest:
                raise Damaged(position, "its bytes, or those of its changes, are not what was recorded")
            changes += len(hashes)
            dropped_changes += dropped
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
    return changes - dropped_changes, Dropped(dropped_events, dropped_changes)


def _link_after_gap(read: Read, last: int, end: int, upto: int) -> bytes:
    """The link to go on from where events after `last`, up to `end`, are not there: segments dropped as a whole."""
    found = read.get("chain", number(end))
    if last % SEGMENT or end % SEGMENT or end > upto or found is None:
        raise Damaged(last + 1, "it is missing")
    return found


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


def _change_hashes(read: Read, position: int, event_row: bytes, upto: int) -> tuple[list[bytes], int]:
    """The hashes of an event's changes, and how many of these were dropped."""
    try:
        revisions = decode_event(position, event_row).revisions
    except (CBORDecodeError, ValueError, TypeError, KeyError, IndexError) as error:
        raise Damaged(position, f"it cannot be decoded: {error}") from error
    hashes, dropped = [], 0
    for revision in revisions:
        row = read.get("changes", number(revision))
        if row is None or (is_dropped(row) and position > upto):
            raise Damaged(position, f"its change, revision {revision}, is missing")
        dropped += is_dropped(row)
        hashes.append(row if is_dropped(row) else sha256(row).digest())
    return hashes, dropped


def _check_orphans(read: Read, changes: int) -> None:
    """Changes that no event tells of: all that the events name are there, so counting finds out."""
    if sum(1 for _ in read.scan("changes", b"", END)) == changes:
        return
    for key, _ in read.change_rows(0, 1 << 62):
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

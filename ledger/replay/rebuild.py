"""Throws the projections away and folds the log again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ledger.log.codec import PLAIN
from ledger.log.lmdb_file import LmdbFile
from ledger.log.refold import Progress, refold
from ledger.projections.store import folds


class Rebuilt(NamedTuple):
    """How far the projections go now."""

    position: int
    revision: int


def rebuild(data_dir: Path | str, upto: int | None = None, progress: Progress | None = None) -> Rebuilt:
    """Folds the whole log, or the events up to the one that made revision `upto`.

    The log itself is not touched. Projections that were rebuilt up to a revision are behind; opening the store to write
    continues from there. Raises Unusable, InUse when a server has the directory, ValueError for an unknown revision.
    """
    every = folds()
    tables = [table for fold in every for table in fold.tables]
    file = LmdbFile(Path(data_dir), tables, PLAIN)
    try:
        with file.read() as read:
            revision, position = read.head(), read.last_position()
            if upto is not None:
                stamp = read.stamp(upto)
                if stamp is None:
                    raise ValueError(f"the log has no revision {upto}")
                revision, position = upto, stamp.position
        file.clear([*tables, "checkpoints"])
        refold(file, file, every, 0, position, progress)
        return Rebuilt(position, revision)
    finally:
        file.close()

"""Projections can be thrown away at any time."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.log.api import InUse
from ledger.log.codec import PLAIN
from ledger.log.lmdb_file import LmdbFile
from ledger.projections.store import Store, folds
from ledger.replay.rebuild import rebuild
from ledger.replay.verify import verify
from tests.log.samples import CONFIGMAPS, event, gone, in_trio, key, put


async def filled(data_dir: Path) -> None:
    with Store.open(data_dir, durability="relaxed") as store:
        for n in range(1, 61):
            await store.append(event(n), [gone("o3") if n == 45 else put(f"o{n % 5}", str(n))])
            store.note(event(n + 1000, "get"))


def tables(data_dir: Path) -> dict[str, list[tuple[bytes, bytes]]]:
    with Store.open(data_dir) as store, store.read() as read:
        return {name: list(read.scan(name, b"", b"\xff" * 512)) for fold in folds() for name in fold.tables}


@in_trio
async def test_rebuilt_projections_are_the_same_bytes(tmp_path: Path) -> None:
    await filled(tmp_path)
    before = tables(tmp_path)
    file = LmdbFile(tmp_path, list(before), PLAIN)
    file.write_rows({"state": {key("o1").encode(): None, b"junk": b"junk"}})
    file.close()
    assert tables(tmp_path) != before
    assert rebuild(tmp_path) == (120, 60)
    assert tables(tmp_path) == before


@in_trio
async def test_a_rebuild_up_to_a_revision_ends_there_and_the_next_start_goes_on(tmp_path: Path) -> None:
    await filled(tmp_path)
    before = tables(tmp_path)
    done = rebuild(tmp_path, upto=30)
    assert done.revision == 30
    file = LmdbFile(tmp_path, list(before), PLAIN)
    with file.read() as read:
        assert max(int.from_bytes(value[:8], "big") for _, value in read.scan("state", b"", b"\xff")) == 30
    file.close()
    steps: list[tuple[int, int]] = []
    with Store.open(tmp_path, progress=lambda done, total: steps.append((done, total))) as store:
        assert verify(store).intact
        with store.view() as view:
            assert len(list(view.scan(CONFIGMAPS))) == 5
    assert steps == [(120 - done.position, 120 - done.position)]
    assert tables(tmp_path) == before


@in_trio
async def test_an_unknown_revision_or_a_running_server_is_refused_before_anything_is_thrown_away(
    tmp_path: Path,
) -> None:
    await filled(tmp_path)
    before = tables(tmp_path)
    with pytest.raises(ValueError, match="no revision 61"):
        rebuild(tmp_path, upto=61)
    with Store.open(tmp_path), pytest.raises(InUse):
        rebuild(tmp_path)
    assert tables(tmp_path) == before

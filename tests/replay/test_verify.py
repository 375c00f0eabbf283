"""Damage is found and named; what is whole is called whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from ledger.log.chain import GENESIS, SEGMENT, digest_of, link
from ledger.log.codec import PLAIN, decode_event, number
from ledger.log.encoding import encode_event
from ledger.log.lmdb_file import LmdbFile
from ledger.log.sequencer import Rows
from ledger.projections.store import Store, folds
from ledger.replay.verify import verify
from tests.log.samples import event, gone, in_trio, key, put

EVENTS = SEGMENT + 20

Tamper = Callable[[LmdbFile], Rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A log of a segment and some, with a change in every tenth event."""
    data_dir = tmp_path_factory.mktemp("whole")

    async def fill() -> None:
        with Store.open(data_dir, durability="relaxed") as store:
            for n in range(1, EVENTS + 1):
                if n % 10:
                    store.note(event(n, "get"))
                else:
                    await store.append(event(n), [gone("o1") if n == 500 else put(f"o{n % 7}", str(n))])

    trio.run(fill)
    return (data_dir / "ledger.mdb").read_bytes()


@pytest.fixture
def data_dir(whole: bytes, tmp_path: Path) -> Path:
    (tmp_path / "ledger.mdb").write_bytes(whole)
    return tmp_path


def tampered(data_dir: Path, tamper: Tamper) -> None:
    file = LmdbFile(data_dir, [table for fold in folds() for table in fold.tables], PLAIN)
    file.write_rows(tamper(file))
    file.close()


def row(file: LmdbFile, table: str, place: bytes) -> bytes:
    with file.read() as read:
        found = read.get(table, place)
    assert found is not None
    return found


def test_a_whole_log_verifies_and_tells_its_last_link(data_dir: Path) -> None:
    with Store.open(data_dir) as store:
        steps: list[tuple[int, int]] = []
        report = verify(store, lambda done, total: steps.append((done, total)))
        assert report.intact
        assert (report.events, report.changes, report.revision) == (EVENTS, EVENTS // 10, EVENTS // 10)
        assert len(bytes.fromhex(report.link)) == 32
        assert steps[-1] == (EVENTS, EVENTS)
        assert verify(store, head_link=report.link).intact


@in_trio
async def test_a_link_published_earlier_is_found_in_the_longer_log(data_dir: Path) -> None:
    with Store.open(data_dir) as store:
        earlier = verify(store).link
        await store.append(event(), [put("more")])
        assert verify(store, head_link=earlier).intact
        foreign = verify(store, head_link="ab" * 32)
        assert foreign.damage is not None and "not the log" in str(foreign.damage)


def test_an_empty_log_is_whole(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        report = verify(store)
        assert report.intact and (report.events, report.link) == (0, GENESIS.hex())


def test_a_log_in_memory_can_be_verified() -> None:
    with Store.memory() as store:
        store.note(event(1, "get"))
        assert verify(store).intact


def flipped(file: LmdbFile) -> Rows:
    old = row(file, "events", number(77))
    return {"events": {number(77): old.replace(b"alice", b"mallory"[:5])}}


def lost(file: LmdbFile) -> Rows:
    return {"events": {number(78): None}}


def cut_off(file: LmdbFile) -> Rows:
    return {"events": {number(EVENTS): None}}


def body_altered(file: LmdbFile) -> Rows:
    return {"changes": {number(4): row(file, "changes", number(4)).replace(b"metadata", b"metatada")}}


def change_lost(file: LmdbFile) -> Rows:
    return {"changes": {number(4): None}}


def change_slipped_in(file: LmdbFile) -> Rows:
    return {"changes": {number(1000): row(file, "changes", number(4))}}


def exchanged(file: LmdbFile) -> Rows:
    first, second = row(file, "events", number(5)), row(file, "events", number(6))
    return {"events": {number(5): second, number(6): first}}


def undecodable(file: LmdbFile) -> Rows:
    return {"events": {number(9): b"?" * 40}}


def replaced_with_digest(file: LmdbFile) -> Rows:
    forged = encode_event(decode_event(77, encode_event(event(77, "get", user="mallory"))))
    return {"events": {number(77): digest_of(forged, []) + forged}}


def replaced_in_open_segment(file: LmdbFile) -> Rows:
    forged = encode_event(event(77, "get", user="mallory"))
    return {"events": {number(SEGMENT + 3): digest_of(forged, []) + forged}}


def link_altered(file: LmdbFile) -> Rows:
    return {"chain": {number(SEGMENT): link(GENESIS, GENESIS)}}


@pytest.mark.parametrize(
    ("tamper", "position", "what"),
    [
        (flipped, 77, "its bytes"),
        (lost, 78, "missing"),
        (cut_off, EVENTS, "missing"),
        (body_altered, 40, "its bytes, or those of its changes"),
        (change_lost, 40, "its change, revision 4, is missing"),
        (change_slipped_in, 40, "did not make revision 1000"),
        (exchanged, 1, "replaced"),  # both fit their digests; that their order does not, only the segment's link tells
        (undecodable, 9, "cannot be decoded"),
        (replaced_with_digest, 1, "one of the next 1023 was replaced"),
        (replaced_in_open_segment, SEGMENT + 1, "a later one was replaced"),
        (link_altered, 1, "was replaced"),
    ],
)
def test_damage_to_the_log_is_named(data_dir: Path, tamper: Tamper, position: int, what: str) -> None:
    tampered(data_dir, tamper)
    with Store.open(data_dir) as store:
        damage = verify(store).damage
    assert damage is not None and damage.position == position and what in str(damage)


@pytest.mark.parametrize(
    ("table", "place", "value"),
    [
        ("state", key("o1").encode(), b"forged"),
        ("state", key("o9").encode(), b"slipped in"),
        ("history", key("o3").encode() + b"\0" + number(1), None),
        ("deletions", b"/configmaps\0" + number(50), None),
        ("audit", b"\0\0\0\0u12345678\0\1", b""),
    ],
)
def test_a_projection_that_is_not_what_the_log_folds_to_is_named(
    data_dir: Path, table: str, place: bytes, value: bytes | None
) -> None:
    tampered(data_dir, lambda _: {table: {place: value}})
    with Store.open(data_dir) as store:
        damage = verify(store).damage
    assert damage is not None and f"projection {table}" in str(damage)

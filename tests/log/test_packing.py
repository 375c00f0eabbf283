"""Packed bodies: whatever comes in comes out again, and old logs are read as they were written."""

from __future__ import annotations

import gzip
import random
import threading
from hashlib import sha256
from importlib.resources import files

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ledger.log import packing
from ledger.log.codec import HEAD, decode_change, decode_event
from ledger.log.encoding import encode_change, encode_event
from ledger.log.event import Change
from ledger.log.packing import LATEST, MAGIC, pack, unpack, unpack_all, unpacked_bytes
from tests.log.samples import event, key, put
from tests.served import REPOSITORY

DICTIONARIES = {1: "f609d86d3031046bf5aaa3d001aa59c7fafb2802e77bda4ba92dbeb0cd47ba15"}


@pytest.mark.parametrize("number", range(1, LATEST + 1))
def test_a_dictionary_that_logs_were_written_with_is_never_changed(number: int) -> None:
    found = (files("ledger.log") / "data" / f"bodies-{number}.dictionary").read_bytes()
    assert sha256(found).hexdigest() == DICTIONARIES[number]


@given(st.binary(max_size=600) | st.binary(max_size=50).map(lambda some: some * 20))
def test_any_body_comes_out_as_it_went_in(body: bytes) -> None:
    for one in (body, MAGIC + body, b'{"metadata":{' + body):
        assert unpack(pack(one)) == one
        assert len(pack(one)) <= len(one) or one.startswith(MAGIC)


@given(st.lists(st.binary(max_size=300).map(lambda some: some * 20) | st.binary(max_size=50), max_size=9))
def test_many_are_unpacked_as_one_is(bodies: list[bytes]) -> None:
    packed = [pack(body) for body in bodies]
    assert unpack_all(packed) == bodies
    assert [unpacked_bytes(one) for one in packed] == list(map(len, bodies))


def test_bodies_packed_with_several_dictionaries_are_unpacked_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [b"words and words " * 100, b"other words, " * 100]
    another = zstandard.train_dictionary(4096, [bytes([one]) * 30 + bodies[1] for one in range(100)], dict_id=77)
    packed = [pack(bodies[0]), zstandard.ZstdCompressor(dict_data=another).compress(bodies[1])]
    latest = packing._dictionary(LATEST)
    monkeypatch.setattr(packing, "_dictionary", {LATEST: latest, 77: another}.__getitem__)
    assert unpack_all(packed) == bodies


def test_objects_as_clusters_have_them_shrink_to_a_fifth() -> None:
    with gzip.open(REPOSITORY / "docs" / "examples" / "crashloop" / "base.json.gz") as file:
        text = orjson.loads(file.read())
    bodies = [orjson.dumps(one) for one in objects_in(text)]
    assert len(bodies) > 100
    assert sum(len(pack(body)) for body in bodies) < sum(map(len, bodies)) / 5


def objects_in(value: object) -> list[object]:
    """All objects with metadata in a document, outermost ones only."""
    if isinstance(value, dict):
        if isinstance(value.get("metadata"), dict) and "uid" in value["metadata"]:
            return [value]
        return [one for item in value.values() for one in objects_in(item)]
    return [one for item in value for one in objects_in(item)] if isinstance(value, list) else []


def test_rows_are_read_whether_their_bodies_are_packed_or_of_an_older_log() -> None:
    change = put("a", "words and words " * 100)
    wrote = event(1, request_body=b"k8s\x00" * 200, response_body=b'{"kind":"Status"}', rest=b"{}" * 300)
    row = encode_change(change, change.key.encode(), wrote, 7, change.body)
    assert change.body is not None and len(row) < len(change.body) / 2
    assert decode_change(3, row).body == change.body
    assert decode_event(7, encode_event(wrote)) == wrote.at(7, ())
    before = HEAD.pack(7, 0, 0, len(change.key.encode()), len(change.body)) + change.key.encode() + change.body
    rest = row[HEAD.size + len(change.key.encode()) + len(pack(change.body)) :]
    assert decode_change(3, before + rest).body == change.body


def test_a_deletion_has_no_body_to_pack() -> None:
    gone = Change(key("a"), None)
    assert decode_change(3, encode_change(gone, gone.key.encode(), event(1), 7, None)).body is None


def test_threads_pack_side_by_side() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    bodies = [b"".join(chance.choices((b'"name":', b'"uid":', b"{}", b"abc"), k=2000)) for _ in range(50)]
    wrong: list[bytes] = []

    def work() -> None:
        wrong.extend(body for _ in range(20) for body in bodies if unpack(pack(body)) != body)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong

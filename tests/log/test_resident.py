"""What a server has read does not stay in its memory: pages of mapped files go back to the kernel."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trio

from ledger.log import lmdb_file, writer
from ledger.log.codec import PLAIN, number
from ledger.log.lmdb_engine import LmdbEngine
from ledger.log.lmdb_file import READS_BETWEEN_LOOKS, LmdbFile
from ledger.log.resident import RESTING_BYTES_MAX
from ledger.projections.store import folds
from tests.log.samples import event, in_trio, put

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems keep what they mapped")

ROWS, ROW_BYTES = 12_000, 3900  # 47 MiB of pages
BYTES_MAX = 12 << 20
STOP = b"\xff"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LmdbFile:
    monkeypatch.setattr(lmdb_file, "RESIDENT_BYTES_MAX", BYTES_MAX)
    file = LmdbFile(tmp_path, ["state"], PLAIN, relaxed=True)
    for start in range(0, ROWS, 4000):
        file.write_rows({"state": {number(row): bytes([row % 256]) * ROW_BYTES for row in range(start, start + 4000)}})
    return file


def resident_bytes(path: Path) -> int:
    """Of the pages of a mapped file, as the kernel counts them."""
    found = re.search(rf"\S+ r--s .* {path}\n(?:\w+: .*\n)*?Rss: +(\d+) kB", Path("/proc/self/smaps").read_text())
    assert found is not None
    return int(found[1]) * 1024


def read_all(file: LmdbFile, rows_a_read: int) -> int:
    """Sums up first bytes of all rows, in read transactions as a list has them."""
    found, after = 0, b""
    while True:
        with file.read() as read:
            for count, (key, row) in enumerate(read.scan_in_place("state", after, STOP)):
                if count == rows_a_read:
                    break
                found += row[0]
                after = bytes(key) + b"\0"
            else:
                return found


def test_reading_everything_leaves_little_of_it_resident(file: LmdbFile) -> None:
    expected = sum(row % 256 for row in range(ROWS))
    for _ in range(2):
        assert read_all(file, rows_a_read=100) == expected
        assert resident_bytes(file.path) < BYTES_MAX + READS_BETWEEN_LOOKS * (1 << 20)
    file.close()


def test_without_that_it_would_all_stay(file: LmdbFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_file, "RESIDENT_BYTES_MAX", 1 << 40)
    read_all(file, rows_a_read=100)
    assert resident_bytes(file.path) > ROWS * ROW_BYTES
    file.close()


def test_what_a_busy_server_needs_stays_until_it_rests(file: LmdbFile) -> None:
    file._pages.look(0)
    with file.read() as read:
        list(read.scan_in_place("state", b"", number(2000)))
    before = resident_bytes(file.path)
    assert RESTING_BYTES_MAX < before < BYTES_MAX
    for _ in range(READS_BETWEEN_LOOKS):
        with file.read() as read:
            read.get("state", number(7))
    assert resident_bytes(file.path) >= before
    file.give_back_pages()
    assert resident_bytes(file.path) == 0
    with file.read() as read:
        assert read.get("state", number(7)) == bytes([7]) * ROW_BYTES
    few = resident_bytes(file.path)
    file.give_back_pages()
    assert resident_bytes(file.path) == few > 0
    file.close()


@in_trio
async def test_an_engine_lets_go_after_its_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()
    monkeypatch.setattr(writer, "GIVE_BACK_S", 0.0)
    monkeypatch.setattr(LmdbFile, "give_back_pages", lambda file: gone.set())
    engine = LmdbEngine(tmp_path, folds())
    await engine.append(event(1), [put("a")])
    assert await trio.to_thread.run_sync(gone.wait, 10)
    engine.close()


def test_rows_that_are_held_in_place_outlast_the_pages(file: LmdbFile) -> None:
    with file.read() as read:
        held = dict(read.scan_in_place("state", number(100), number(200)))
        list(read.scan_in_place("state", b"", STOP))
        assert file._pages.look(0)
        assert resident_bytes(file.path) == 0
        assert [bytes(row) for row in held.values()] == [bytes([row]) * ROW_BYTES for row in range(100, 200)]
    file.close()


def test_after_close_nothing_is_given_back(file: LmdbFile) -> None:
    """The addresses may be somebody else's by then."""
    read_all(file, ROWS)
    file.close()
    assert not file._pages.look(0)


def test_a_program_without_its_pages_goes_on() -> None:
    program = """
import hashlib, json, ssl, trio, lmdb, cbor2, orjson  # libraries with relocated tables
from cryptography import x509
from pathlib import Path
from ledger.log.resident import give_back_program
def file_kib(): return int(Path("/proc/self/status").read_text().split("RssFile:")[1].split()[0])
before = file_kib()
for _ in range(3):
    give_back_program()
    after = file_kib()
    assert hashlib.sha256(b"").hexdigest().startswith("e3b0c442")
    ssl.create_default_context(); trio.run(trio.sleep, 0); x509.Name([]); orjson.dumps(json.loads("[1]"))
print(before, after)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    before, after = map(int, run.stdout.split())
    assert after < before / 2


def test_holes_in_the_heap_are_given_back() -> None:
    program = """
from pathlib import Path
from ledger.log.resident import FreedMemory
def own_kib(): return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0])
freed = FreedMemory()
blocks = [bytes(20_000) for _ in range(4000)]
assert not freed.look()
blocks = blocks[::40]  # what is left keeps the heap from shrinking by itself
before = own_kib()
assert freed.look()
after = own_kib()
assert not freed.look()
print(before, after)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    before, after = map(int, run.stdout.split())
    assert before - after > 40 << 10

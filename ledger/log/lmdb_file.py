"""One LMDB environment in a data directory: opening it safely, reading it, writing rows to it.

The map is 1 TiB of address space from the start, since resizing it would need every reader to stop; the file itself
grows as it is written. The map is never written through (writemap), so that a stray pointer cannot damage it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import lmdb

from ledger.log.api import Bodies, Damaged, InUse, LogClosed, Unusable
from ledger.log.resident import RESIDENT_BYTES_MAX, RESTING_BYTES_MAX, FreedMemory, MapPages
from ledger.log.rows import LogRead, first_rows
from ledger.log.sequencer import LOG_TABLES, Rows

FILE = "ledger.mdb"
LOCK = "ledger.lock"
MAP_BYTES = 1 << 40
READERS_MAX = 1024
TABLES_MAX = 64
ROWS_AT_ONCE = 32  # of a scan, taken from LMDB before looking whether its end has come
READS_BETWEEN_LOOKS = 8  # at the map's resident pages; a slice of a list is a read, and touches a megabyte at most
PAGES_NEVER_WRITTEN = 256  # LMDB may count pages at the end of its file that it freed before writing them


class LmdbRead(LogRead):
    """A read transaction: what was committed when it began. Use it in one thread, and not across an await.

    A context manager; leaving it ends the transaction.
    """

    __slots__ = ("cursors", "path", "tables", "txn")

    def __init__(self, txn: Any, tables: dict[str, Any], bodies: Bodies, path: Path) -> None:
        self.txn, self.tables, self.bodies, self.path = txn, tables, bodies, path
        self.cursors: dict[str, Any] = {}

    def __enter__(self) -> LmdbRead:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self.txn.abort()
        if isinstance(error, (lmdb.CorruptedError, lmdb.PageNotFoundError)):
            raise Damaged(0, f"{self.path}: {error}") from error

    def get(self, table: str, key: bytes) -> bytes | None:
        row = self.txn.get(key, db=self.tables[table])
        return None if row is None else bytes(row)

    def scan(self, table: str, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        cursor = self.txn.cursor(self.tables[table])  # its own: two scans of a table may go on side by side
        if reverse:
            if not (cursor.prev() if cursor.set_range(stop) else cursor.last()):
                return
            for key, row in cursor.iterprev():
                found = bytes(key)
                if found < start:
                    return
                yield found, bytes(row)
        else:
            for key, row in self.scan_in_place(table, start, stop):
                yield bytes(key), bytes(row)

    def scan_in_place(self, table: str, start: bytes, stop: bytes) -> Iterator[tuple[memoryview, memoryview]]:
        cursor = self.txn.cursor(self.tables[table])
        if not cursor.set_range(start):
            return
        rows = iter(cursor)
        while some := list(islice(rows, ROWS_AT_ONCE)):
            if bytes(some[-1][0]) < stop:  # and so are those before it
                yield from some
            else:
                yield from takewhile(lambda row: bytes(row[0]) < stop, some)
                return

    def rows_in_place(
        self, table: str, start: bytes, stop: bytes, rows_max: int, bytes_max: int
    ) -> tuple[list[memoryview], bytes | None]:
        cursor = self.txn.cursor(self.tables[table])
        if not cursor.set_range(start):
            return [], None
        found: list[memoryview] = []
        length, last = 0, b""
        rows = cursor.iternext(keys=False)
        while len(some := list(islice(rows, ROWS_AT_ONCE))) == ROWS_AT_ONCE:
            end, more = bytes(cursor.key()), sum(map(len, some))
            if end >= stop or len(found) + ROWS_AT_ONCE > rows_max or length + more > bytes_max:
                break
            found += some
            length += more
            last = end
        # The end is among the next few rows, whose keys tell where.
        rest = self.scan_in_place(table, last + b"\0" if last else start, stop)
        some, following = first_rows(rest, rows_max - len(found), bytes_max - length)
        return found + some, following or last if following is not None else None

    def count(self, table: str, start: bytes, stop: bytes) -> int:
        cursor = self.txn.cursor(self.tables[table])
        if not cursor.set_range(start):
            return 0
        keys: Iterator[memoryview] = cursor.iternext(keys=True, values=False)
        return sum(1 for _ in takewhile(stop.__gt__, map(bytes, keys)))

    def last(self, table: str, start: bytes, stop: bytes) -> tuple[bytes, bytes] | None:
        cursor = self.cursors.get(table)
        if cursor is None:
            cursor = self.cursors[table] = self.txn.cursor(self.tables[table])
        if not (cursor.prev() if cursor.set_range(stop) else cursor.last()):
            return None
        key, row = cursor.item()
        found = bytes(key)
        return (found, bytes(row)) if found >= start else None


class LmdbFile:
    """The environment and its tables. `relaxed`: a commit does not wait for the disk; `sync` does."""

    def __init__(
        self, data_dir: Path, tables: Sequence[str], bodies: Bodies, *, relaxed: bool = False, read_only: bool = False
    ) -> None:
        self.path = Path(data_dir) / FILE
        self.bodies = bodies
        self.read_only = read_only
        self._lock = None if read_only else _lock_directory(Path(data_dir))
        try:
            self.env = _open(self.path, read_only, relaxed)
            try:
                self.tables = self._open_tables((*LOG_TABLES, *tables))
                self._pages, self._freed, self._reads = MapPages(self.path), FreedMemory(), 0
            except BaseException:
                self.env.close()
                raise
        except BaseException:
            self._unlock()
            raise

    def read(self) -> LmdbRead:
        try:
            read = LmdbRead(self.env.begin(buffers=True), self.tables, self.bodies, self.path)
        except lmdb.Error as error:
            raise LogClosed(f"{self.path}: {error}") from error
        self._reads += 1
        if not self._reads % READS_BETWEEN_LOOKS:
            self._pages.look(RESIDENT_BYTES_MAX)
        return read

    def get(self, table: str, key: bytes) -> bytes | None:
        try:
            with self.env.begin(self.tables[table]) as txn:
                row: bytes | None = txn.get(key)
                return row
        except (lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
            raise Damaged(0, f"{self.path}: {error}") from error
        except lmdb.Error as error:
            raise LogClosed(f"{self.path}: {error}") from error

    def table_bytes(self, table: str) -> int:
        with self.env.begin() as txn:
            pages = txn.stat(self.tables[table])
        used = pages["branch_pages"] + pages["leaf_pages"] + pages["overflow_pages"]
        return int(used * pages["psize"])

    def write_rows(self, rows: Rows) -> None:
        """Puts and deletes in one transaction; on return it is on the disk, unless the file is relaxed.

        Raises LogClosed when that failed, and then nothing of it is there.
        """
        try:
            self._commit(rows)
        except lmdb.Error as error:
            raise LogClosed(f"{self.path}: {error}") from error
        self._pages.look(RESIDENT_BYTES_MAX)

    def _commit(self, rows: Rows) -> None:
        with self.env.begin(write=True) as txn:
            for name, changes in rows.items():
                table = self.tables[name]
                puts = []
                for key, value in changes.items():
                    if value is None:
                        txn.delete(key, db=table)
                    else:
                        puts.append((key, value))
                if puts:
                    puts.sort()
                    cursor = txn.cursor(table)
                    # Told that rows come after all others, LMDB fills pages; else it leaves them half empty.
                    append = not cursor.last() or cursor.key() < puts[0][0]
                    cursor.putmulti(puts, append=append)

    def clear(self, tables: Sequence[str]) -> None:
        with self.env.begin(write=True) as txn:
            for name in tables:
                txn.drop(self.tables[name], delete=False)

    def sync(self) -> None:
        self.env.sync(True)

    def give_back_pages(self) -> None:
        """Lets go of the pages that were read lately, and of what was freed; the next readers map them again."""
        self._pages.look(RESTING_BYTES_MAX)
        self._freed.look()

    def reader_check(self) -> None:
        """Frees the slots of readers whose process died; else the pages they read are never used again."""
        self.env.reader_check()

    def close(self) -> None:
        self._pages.close()
        self.env.close()
        self._unlock()

    def _open_tables(self, names: Sequence[str]) -> dict[str, Any]:
        try:
            if self.read_only:
                return {name: self.env.open_db(name.encode(), create=False) for name in names}
            with self.env.begin(write=True) as txn:  # one for all that are new: a commit waits for the disk
                return {name: self.env.open_db(name.encode(), txn) for name in names}
        except lmdb.NotFoundError:
            raise Unusable(f"{self.path} lacks tables; open it for writing once, to make them") from None
        except lmdb.Error as error:
            raise Unusable(f"{self.path} is damaged: {error}") from error

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def copy_compactly(data_dir: Path) -> None:
    """Writes a log's file anew, in order and without free pages; nobody may have it open. Raises Unusable, OSError."""
    lock = _lock_directory(data_dir)
    path, copy = data_dir / FILE, data_dir / f"{FILE}.copy"
    try:
        env = _open(path, read_only=True, relaxed=False)
        try:
            copy.unlink(missing_ok=True)
            with copy.open("wb") as file:
                copy.chmod(0o600)
                env.copyfd(file.fileno(), compact=True)
                os.fsync(file.fileno())
        except lmdb.Error as error:
            raise Unusable(f"{path} cannot be copied: {error}") from error
        finally:
            env.close()
        copy.rename(path)
        (data_dir / f"{FILE}-lock").unlink(missing_ok=True)  # LMDB's own: of the file that is no more
        directory = os.open(data_dir, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        copy.unlink(missing_ok=True)
        os.close(lock)


def _lock_directory(data_dir: Path) -> int:
    """Makes the directory (mode 0700) if need be and takes it for this process, until the descriptor is closed."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unusable(f"{error.filename}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise InUse(f"{data_dir} is in use by another process") from None
    return lock


def _open(path: Path, read_only: bool, relaxed: bool) -> lmdb.Environment:
    if read_only and not path.exists():
        raise Unusable(f"{path}: there is no log here")
    try:
        env = lmdb.open(
            str(path),
            subdir=False,
            map_size=MAP_BYTES,
            max_readers=READERS_MAX,
            max_dbs=TABLES_MAX,
            mode=0o600,
            readonly=read_only,
            sync=not relaxed,
            metasync=not relaxed,
            readahead=False,
        )
    except (lmdb.Error, OSError) as error:
        raise Unusable(f"{path} cannot be opened: {error}") from error
    try:
        _check_whole(env, path)
        env.reader_check()
    except BaseException:
        env.close()
        raise
    return env


def _check_whole(env: lmdb.Environment, path: Path) -> None:
    """Refuses a file that was cut off: touching a missing page of the map would end the process with SIGBUS."""
    page_bytes = env.stat()["psize"]
    missing = (env.info()["last_pgno"] + 1) * page_bytes - path.stat().st_size
    if missing > PAGES_NEVER_WRITTEN * page_bytes:
        raise Unusable(f"{path} is damaged: {missing} bytes are missing at its end")

"""Gives memory back to the kernel: pages of mapped files, which it maps again on a touch, and what was freed.

A page of the log's map that was read once counts as this process's memory until the kernel needs it for something else:
a list of 100,000 objects leaves half a gigabyte behind, on a machine, or in a container, that others pay for as well.
Nothing is lost by unmapping: the map is read-only and shared, its pages are the kernel's. A touch afterwards costs a
minor fault of some 5 us for the 16 pages around it. Linux only; elsewhere all of this does nothing.

Tried: MADV_COLD (changes no figure), MADV_PAGEOUT (evicts from the page cache too: then the disk is read again).
See docs/adr/0016-resident-pages.md.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
RESIDENT_BYTES_MAX = 64 << 20  # of the map's pages; what a busy server touches again and again should fit in
RESTING_BYTES_MAX = 4 << 20  # of them, of which a server lets go every few seconds
FREED_BYTES_MAX = 8 << 20  # of the heap, free and not given back
MADV_DONTNEED = 4  # of Linux; the same on every architecture that Python has wheels for


class Mapping(NamedTuple):
    """A part of this process's address space."""

    start: int
    length: int
    permissions: str  # as "r-xp"
    path: str  # "": of no file
    own_bytes: int  # of pages that belong to this process alone, in memory or swapped out; told by "smaps" only


class MapPages:
    """The resident pages of one mapped file, which must stay mapped during each call."""

    __slots__ = ("_others", "_path", "_ranges", "_resident")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ranges: list[tuple[int, int]] | None = None  # where the map lies: looked up when first needed
        self._resident = Resident()
        self._others = self._resident.file_bytes()  # file pages in memory that are not the map's: code, libraries

    def look(self, bytes_max: int) -> bool:
        """Gives all of them back if they are more than that; whether they were. Costs 2 us when they were not."""
        if self._resident.file_bytes() - self._others <= bytes_max:
            return False
        if self._ranges is None:
            self._ranges = _ranges_of(self._path)
        for start, length in self._ranges:
            _give_back(start, length)
        self._others = self._resident.file_bytes()
        return True

    def close(self) -> None:
        self._resident.close()


class FreedMemory:
    """What was freed and not given back: a list of everything leaves holes of 20 MiB between what stays.

    glibc gives back the end of its heap by itself, holes only when asked. That takes it a millisecond.
    """

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before = 0  # free bytes of the heap after the last time: their pages are gone, the holes are not

    def look(self) -> bool:
        """Gives it back if much was freed since the last time; whether it was."""
        free = _free_bytes()
        if free - self._before <= FREED_BYTES_MAX:
            self._before = min(self._before, free)
            return False
        _libc().malloc_trim(0)
        self._before = _free_bytes()
        return True


class _Heap(ctypes.Structure):
    """struct mallinfo2 of glibc."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "used", "free", "keepcost")
    )


def _free_bytes() -> int:
    """Of the heap; 0 where the C library does not tell."""
    told = getattr(_libc(), "mallinfo2", None)
    if told is None:
        return 0
    told.restype = _Heap
    return int(told().free)


class Resident:
    """How much memory the process has, from /proc/self/statm, which stays open; 0 where that cannot be known."""

    __slots__ = ("_statm",)

    def __init__(self) -> None:
        self._statm = -1
        with suppress(OSError):
            self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def file_bytes(self) -> int:
        """All pages of files."""
        return 0 if self._statm < 0 else int(os.pread(self._statm, 128, 0).split()[2]) * PAGE_BYTES

    def close(self) -> None:
        if self._statm >= 0:
            os.close(self._statm)
            self._statm = -1


def give_back_program() -> None:
    """Gives back the pages of program and libraries: a start touches three times what a server then runs.

    Only of mappings that cannot be written and in which no page is the process's own: a relocated table is made
    unwritable too, and what the loader wrote there is in no file.
    """
    for one in _mappings("smaps"):
        if one.path.startswith("/") and one.permissions.startswith("r-") and not one.own_bytes:
            _give_back(one.start, one.length)


def _ranges_of(path: Path) -> list[tuple[int, int]]:
    wanted = str(path.resolve())
    return [(one.start, one.length) for one in _mappings("maps") if one.path == wanted and "w" not in one.permissions]


def _mappings(file: str) -> Iterator[Mapping]:
    """What /proc/self/maps or the slower smaps tells; nothing where there is no such file."""
    try:
        lines = (Path("/proc/self") / file).read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    found: Mapping | None = None
    for line in lines:
        words = line.split(maxsplit=5)
        if not words[0].endswith(":"):
            if found is not None:
                yield found
            start, stop = (int(address, 16) for address in words[0].split("-"))
            found = Mapping(start, stop - start, words[1], words[5] if len(words) > 5 else "", 0)
        elif found is not None and words[0] in ("Anonymous:", "Swap:"):
            found = found._replace(own_bytes=found.own_bytes + int(words[1]) * 1024)
    if found is not None:
        yield found


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return libc


def _give_back(start: int, length: int) -> None:
    _libc().madvise(start, length, MADV_DONTNEED)  # a range that cannot be given back (locked memory) stays as it is

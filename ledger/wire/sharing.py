"""How processes that accept from one listening socket come to have equally many connections.

Whoever happens to wake first would take connection after connection, and long-lived ones (watches) would stay with it. So
each process writes how many it has into a table that all of them map, and who has more than another lets it go first.
"""

from __future__ import annotations

import mmap
import struct
import tempfile
from typing import BinaryIO

SLOT = struct.Struct("=L")
GONE = 0xFFFFFFFF


def new_table(processes: int) -> BinaryIO:
    """A file without a name, for one number a process; nobody is there yet."""
    table = tempfile.TemporaryFile()  # noqa: SIM115
    table.write(SLOT.pack(GONE) * processes)
    table.flush()
    return table


class Shares:
    """The table, as process `own` of those that share the socket sees it."""

    def __init__(self, descriptor: int, own: int) -> None:
        self._map = mmap.mmap(descriptor, 0)
        self._at = own * SLOT.size

    def others_have_fewer(self, count: int) -> bool:
        """Also tells the others how many connections this process has."""
        mine = SLOT.pack(count)
        self._map[self._at : self._at + SLOT.size] = mine
        return any(other < count for (other,) in SLOT.iter_unpack(self._map))

    def leave(self) -> None:
        """This process accepts no more."""
        self._map[self._at : self._at + SLOT.size] = SLOT.pack(GONE)

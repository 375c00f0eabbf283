"""The history fold: which revisions every object ever had.

    history    object key + \\0 + revision (8 bytes BE)            ->  b"+" it was there after it, b"-" it was gone
    deletions  group/resource + \\0 + revision (8 bytes BE)        ->  the object's key

Bodies are not repeated here: they are read from the log by revision. `deletions` is what makes a list of the past
cheap: the state gives every object that is still there, and only what was deleted after the moment has to be added.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.apimachinery.resource import GroupResource
from ledger.log.api import Delete, Entry, Put
from ledger.log.codec import number, table_key
from ledger.log.event import Event

HISTORY = "history"
DELETIONS = "deletions"
PRESENT = b"+"
GONE = b"-"


class HistoryFold:
    name = "history"
    version = 1
    tables: tuple[str, ...] = (HISTORY, DELETIONS)

    def changes(self, entry: Entry) -> list[Put | Delete]:
        puts: list[Put | Delete] = []
        for change in entry.changes:
            encoded = change.key.encode()
            revision = number(change.revision)
            gone = change.body is None
            puts.append(Put(HISTORY, table_key(encoded) + b"\0" + revision, GONE if gone else PRESENT))
            if gone:
                puts.append(Put(DELETIONS, encoded.partition(b"\0")[0] + b"\0" + revision, encoded))
        return puts

    def of_notes(self, events: Sequence[Event]) -> dict[str, dict[bytes, bytes]]:
        return {}


def version_bounds(raw: bytes, upto: int) -> tuple[bytes, bytes]:
    """The range of history keys of one object's revisions, `upto` included, by its table key."""
    return raw + b"\0", b"%b\0%b" % (raw, number(upto + 1))


def deletion_bounds(resource: GroupResource, after: int) -> tuple[bytes, bytes]:
    """The range of deletions keys of a resource's deletions after a revision."""
    start = f"{resource.group}/{resource.resource}\0".encode()
    return start + number(after + 1), start + b"\xff" * 8

"""How many objects there are: counted when somebody first asks, then kept up by the commits.

Counting reads every key of a resource, which a page of a large list cannot afford. A count holds for one revision, the
last that was published; a view of another one (the writer is a moment ahead, or another process writes) counts itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ledger.apimachinery.resource import GroupResource
from ledger.log.api import Entry

PLACES_MAX = 4096  # remembered; namespaces may be many, and most are never asked for

Place = tuple[GroupResource, str]  # "": all namespaces


class Counts:
    """`revision`: the last one there is when this begins to be told of commits."""

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self._counted: dict[Place, int] = {}

    def publish(self, entries: Sequence[Entry]) -> None:
        for _, changes in entries:
            for change in changes:
                self.revision = max(self.revision, change.revision)
                more = (change.body is not None) - (change.previous != 0)
                if more and self._counted:
                    resource = GroupResource(change.key.group, change.key.resource)
                    for place in {(resource, ""), (resource, change.key.namespace)}:
                        if place in self._counted:
                            self._counted[place] += more

    def at(self, revision: int, resource: GroupResource, namespace: str, count: Callable[[], int]) -> int:
        """The number of objects at a revision; `count` reads it there, where it is not known."""
        if revision != self.revision:
            return count()
        found = self._counted.get((resource, namespace))
        if found is None:
            if len(self._counted) >= PLACES_MAX:
                self._counted.clear()
            found = self._counted[resource, namespace] = count()
        return found

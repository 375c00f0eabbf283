"""The state now, for admission: what every write asks again (its namespace, its quotas) is read once and kept.

A commit forgets what it changed, before whoever made it is answered. What was decided on the little that may be older
is held by its guards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.api import Entry
from ledger.projections.api import Stored
from ledger.projections.view import NowView

OBJECTS_MAX = 2048
LISTS_MAX = 1024
LIST_ITEMS_MAX = 64  # longer lists are read each time
BYTES_MAX = (
    16 << 10
)  # of what is kept in one place: larger bodies are read each time, longer names (clients choose them) too
_UNKNOWN: Final = object()


class Remembered:
    """What was read and still holds; `open_view` gives a view of the state now. Subscribe `forget` to the engine."""

    def __init__(self, open_view: Callable[[], NowView]) -> None:
        self.open_view = open_view
        self.objects: dict[Key, Stored | None] = {}
        self.lists: dict[tuple[GroupResource, str], list[Stored]] = {}

    def view(self) -> RememberedView:
        return RememberedView(self)

    def forget(self, entries: Sequence[Entry]) -> None:
        """A log listener: what these entries changed has to be read again."""
        for entry in entries:
            for change in entry.changes:
                key = change.key
                self.objects.pop(key, None)
                if self.lists:
                    resource = GroupResource(key.group, key.resource)
                    self.lists.pop((resource, key.namespace), None)
                    self.lists.pop((resource, ""), None)

    def keep(self, key: Key, stored: Stored | None) -> None:
        if sum(map(len, key)) + (len(stored.body) if stored is not None else 0) > BYTES_MAX:
            return
        if len(self.objects) >= OBJECTS_MAX:
            self.objects.clear()
        self.objects[key] = stored

    def keep_list(self, resource: GroupResource, namespace: str, items: list[Stored]) -> None:
        if len(namespace) + sum(len(one.body) for one in items) > BYTES_MAX:
            return
        if len(self.lists) >= LISTS_MAX:
            self.lists.clear()
        self.lists[resource, namespace] = items


class RememberedView:
    """A View that begins to read when it is asked for something that is not remembered."""

    __slots__ = ("_memory", "_view")

    def __init__(self, memory: Remembered) -> None:
        self._memory = memory
        self._view: NowView | None = None

    def get(self, key: Key) -> Stored | None:
        known = self._memory.objects.get(key, _UNKNOWN)
        if known is _UNKNOWN:
            known = self._opened().get(key)
            self._memory.keep(key, known)
        return known  # type: ignore[return-value]

    def scan(
        self, resource: GroupResource, namespace: str = "", after: tuple[str, str] | None = None
    ) -> Iterator[Stored]:
        if after is not None:
            return self._opened().scan(resource, namespace, after)
        known = self._memory.lists.get((resource, namespace))
        if known is not None:
            return iter(known)
        rest = self._opened().scan(resource, namespace)
        items = list(islice(rest, LIST_ITEMS_MAX + 1))
        if len(items) > LIST_ITEMS_MAX:
            return chain(items, rest)
        self._memory.keep_list(resource, namespace, items)
        return iter(items)

    def close(self) -> None:
        """Ends the read; the next question begins another."""
        if self._view is not None:
            self._view.__exit__(None, None, None)
            self._view = None

    def _opened(self) -> NowView:
        if self._view is None:
            self._view = self._memory.open_view()
        return self._view

    def __getattr__(self, name: str) -> Any:
        """Whatever else a View has is asked of the state itself."""
        return getattr(self._opened(), name)

    def __enter__(self) -> RememberedView:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

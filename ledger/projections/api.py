"""How the rooms above read what the folds keep. `ledger.projections.store.Store` is the implementation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from ledger.apimachinery.resource import GroupResource, Key


class FutureRevision(Exception):
    """A revision that is not made yet; `current` is the last one."""

    def __init__(self, revision: int, current: int) -> None:
        super().__init__(f"revision {revision} is ahead of the log's end, {current}")
        self.revision, self.current = revision, current


class Stored(NamedTuple):
    """One object as it is stored. `body` is in list-item form, with metadata.resourceVersion spliced in."""

    key: Key
    revision: int
    uid: str
    api_version: str  # what the body is written in
    kind: str
    labels: dict[str, str]
    fields: dict[str, str]
    body: bytes


class View(Protocol):
    """A consistent read at one revision; close it before any await."""

    revision: int

    def get(self, key: Key) -> Stored | None: ...

    def scan(
        self, resource: GroupResource, namespace: str = "", after: tuple[str, str] | None = None
    ) -> Iterator[Stored]:
        """Objects by namespace and name; namespace "" means all; `after` = (namespace, name) is excluded."""
        ...


class Store(Protocol):
    """The part of the store that readers need; see ledger.projections.store for appending and following."""

    def head(self) -> int: ...
    def view(self, revision: int | None = None) -> AbstractContextManager[View]:
        """The state now, or as of a revision (included).

        Raises Compacted below the horizon and FutureRevision above head.
        """
        ...

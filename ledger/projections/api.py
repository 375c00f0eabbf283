"""How the rooms above read what the folds keep. `ledger.projections.store.Store` is the implementation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from ledger.apimachinery.resource import GroupResource, Key
from ledger.projections.selections import Matches, Question


class FutureRevision(Exception):
    """A revision that is not made yet; `current` is the last one."""

    def __init__(self, revision: int, current: int) -> None:
        super().__init__(f"revision {revision} is ahead of the log's end, {current}")
        self.revision, self.current = revision, current


class Stored:
    """One object as it is stored. `body` is in list-item form, with metadata.resourceVersion spliced in.

    Not to be changed. A list makes many thousands of these, so what it reads fills the lesser parts when they are asked
    for (see projections.state).
    """

    __slots__ = ("api_version", "body", "fields", "key", "kind", "labels", "revision", "uid")

    def __init__(
        self,
        key: Key,
        revision: int,
        uid: str,
        api_version: str,  # what the body is written in
        kind: str,
        labels: dict[str, str],
        fields: dict[str, str],
        body: bytes,
    ) -> None:
        self.key, self.revision, self.uid, self.api_version, self.kind = key, revision, uid, api_version, kind
        self.labels, self.fields, self.body = labels, fields, body

    def written_in(self, api_version: str) -> bool:
        """Whether the body is in this version, and can be shown as it is."""
        return self.api_version == api_version

    def _replace(self, *, body: bytes, revision: int | None = None) -> Stored:
        """The same object with another body, at its revision or the one given."""
        revision = self.revision if revision is None else revision
        return Stored(self.key, revision, self.uid, self.api_version, self.kind, self.labels, self.fields, body)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stored) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash((self.key, self.revision))

    def __repr__(self) -> str:
        return f"Stored{self._parts()}"

    def _parts(self) -> tuple[object, ...]:
        return self.key, self.revision, self.uid, self.api_version, self.kind, self.labels, self.fields, self.body


Place = tuple[str, str]  # (namespace, name) of an object, after which a list goes on


class Required(NamedTuple):
    """A label or selectable field, with this value where one is given, that whoever selects wants of every object."""

    name: str
    value: str | None = None


class Slice(NamedTuple):
    """A part of a list. `last`: the place after which the next part begins; None when there is no more."""

    items: list[Stored]
    last: Place | None


class Joined(NamedTuple):
    """A part of a list as bytes: so many bodies, a comma before each; `last` as in Slice."""

    bodies: bytes
    rows: int
    last: Place | None


class View(Protocol):
    """A consistent read at one revision; close it before any await. Of a past, all raise Compacted below the horizon."""

    __slots__ = ()

    revision: int

    @abstractmethod
    def get(self, key: Key) -> Stored | None: ...

    @abstractmethod
    def scan(self, resource: GroupResource, namespace: str = "", after: Place | None = None) -> Iterator[Stored]:
        """Objects by namespace and name; namespace "" means all; `after` is excluded."""
        ...

    @abstractmethod
    def select(
        self,
        resource: GroupResource,
        namespace: str,
        after: Place | None,
        selects: Callable[[Stored], bool],
        *,
        required: Required | None = None,
        items_max: int = ...,
    ) -> Slice:
        """The objects `selects` chooses among the next 2,000, at most `items_max` of them.

        `required`: what each of them has; others are not decoded.
        """
        ...

    @abstractmethod
    def known(self, question: Question, matches: Matches) -> list[Key] | None:
        """The keys of what a selector selects, as a list sorts them, where it was asked before; None: unknown."""
        ...

    @abstractmethod
    def joined(
        self,
        resource: GroupResource,
        namespace: str,
        after: Place | None,
        api_version: str,
        shown: Callable[[Stored], bytes],
        rows_max: int,
    ) -> Joined:
        """The next bodies, some 512 KiB or `rows_max` of them; `shown` makes those that are not in `api_version`.

        Where `api_version` is empty, all of them.
        """
        ...

    @abstractmethod
    def count(self, resource: GroupResource, namespace: str = "", after: Place | None = None) -> int:
        """How many objects `scan` gives; of the state now without reading them."""
        ...

    @abstractmethod
    def remaining(self, resource: GroupResource, namespace: str, after: Place | None) -> int | None:
        """The same where it can be told at little cost, else None."""
        ...

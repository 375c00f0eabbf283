"""Indexes that hold objects of the store: filled with what there is, then told of every commit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import orjson

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.log.api import Entry
from ledger.projections.store import Store


class Index(Protocol):
    def load(self, objects: Iterable[tuple[Key, Object]], /) -> None:
        """Takes these objects in."""

    def follow(self, entries: Sequence[Entry], /) -> None:
        """Takes in what commits did to the objects it holds, in their order."""


T = TypeVar("T", bound=Index)


def followed(store: Store, index: T, group: str, resources: Iterable[str]) -> T:
    """The same index, with the objects of these resources, and true from now on."""
    with store.view() as view:
        index.load(
            (one.key, orjson.loads(one.body))
            for resource in resources
            for one in view.scan(GroupResource(group, resource))
        )
    store.engine.subscribe(index.follow)
    return index

"""What admission keeps of the objects of a few resources: read once, kept true by following the log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from ledger.apimachinery.resource import Key
from ledger.log.api import Entry

GROUP = "admissionregistration.k8s.io"


class Followed(ABC):
    """Fill it with `load`, keep it true with `follow`."""

    resources: tuple[str, ...]  # of the group above

    def load(self, objects: Iterable[tuple[Key, dict[str, Any]]]) -> None:
        for key, found in objects:
            self._apply(key, found)
        self._settle()

    def follow(self, entries: Sequence[Entry]) -> None:
        """A log listener: takes in what commits did to the objects."""
        touched = False
        for entry in entries:
            for change in entry.changes:
                if change.key.group == GROUP and change.key.resource in self.resources:
                    touched = True
                    self._apply(change.key, None if change.body is None else orjson.loads(change.body))
        if touched:
            self._settle()

    @abstractmethod
    def _apply(self, key: Key, found: dict[str, Any] | None) -> None:
        """Takes in an object as it is now; None: it is gone."""

    @abstractmethod
    def _settle(self) -> None:
        """After some objects were taken in."""

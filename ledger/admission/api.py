"""What an admission plugin sees and may do (admission.Attributes in k8s.io/apiserver)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ledger.apimachinery.http import Request, User
from ledger.apimachinery.resource import Object
from ledger.log.event import Change, Guard
from ledger.projections.api import View
from ledger.scheme.definition import ResourceDefinition, Version


@dataclass(slots=True)
class Attributes:
    """One write on its way in. Mutating plugins change `object` in place, or replace it."""

    operation: str  # CREATE, UPDATE, DELETE, CONNECT
    definition: ResourceDefinition
    version: Version  # of the request
    subresource: str
    namespace: str
    name: str
    object: Object | None  # in the storage version, kind and apiVersion included; None on DELETE
    old: Object | None
    user: User
    dry_run: bool
    options: dict[str, Any]
    request: Request | None = None  # None for the server's own writes
    guards: list[Guard] = field(default_factory=list)  # add what the decision read and must still hold at commit
    companions: list[Change] = field(default_factory=list)  # other objects that change in the same commit
    settle: list[Callable[[bool], None]] = field(default_factory=list)  # told whether the write was committed
    annotations: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def start_over(self) -> None:
        """Forgets what was read and planned: the write is decided again."""
        self.guards.clear()
        self.companions.clear()

    def settled(self, committed: bool) -> None:
        """Tells whoever holds something for this write how it ended."""
        while self.settle:
            self.settle.pop()(committed)


class Plugin(Protocol):
    """A plugin has `admit` (mutating), `validate`, or both; it refuses by raising StatusError (403 Forbidden mostly).

    Plugins that only compute are plain functions. A plugin that must wait (a webhook) is called through `admit_async` /
    `validate_async`, outside any View. One that has `resources` is asked about writes of these only.
    """

    name: str  # as --disable-admission-plugins spells it

    def handles(self, attributes: Attributes) -> bool: ...
    def admit(self, attributes: Attributes, view: View) -> None: ...
    def validate(self, attributes: Attributes, view: View) -> None: ...

"""What an admission plugin sees and may do (admission.Attributes in k8s.io/apiserver)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from ledger.apimachinery.http import Request, User
from ledger.apimachinery.resource import Object
from ledger.log.event import Guard
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
    annotations: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class Plugin(Protocol):
    """A plugin has `admit` (mutating), `validate`, or both; it refuses by raising StatusError (403 Forbidden mostly).

    Plugins that only compute are plain functions. A plugin that must wait (a webhook) is called through `admit_async` /
    `validate_async`, outside any View.
    """

    name: str  # as --disable-admission-plugins spells it

    def handles(self, attributes: Attributes) -> bool: ...
    def admit(self, attributes: Attributes, view: View) -> None: ...
    def validate(self, attributes: Attributes, view: View) -> None: ...

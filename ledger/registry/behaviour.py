"""What differs between resources on their way in, behind one interface: built-ins follow their Go types and strategies,
custom resources their structural schema. The registry knows neither."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from ledger.apimachinery.http import Request, User
from ledger.apimachinery.resource import Object
from ledger.registry.options import DeleteOptions
from ledger.scheme.definition import ResourceDefinition, Version


@dataclass(slots=True)
class Context:
    """What preparing and validating may know of the request."""

    user: User
    now: int  # microseconds since 1970
    request: Request | None = None
    warnings: list[str] = field(default_factory=list)


class Behaviour(Protocol):
    """Decoding is in the request's version, the rest in the storage version; objects may be changed in place."""

    def decode(
        self, definition: ResourceDefinition, version: Version, body: bytes, content_type: str, field_validation: str
    ) -> tuple[Object, list[str]]:
        """The object in the request's version, defaulted, and warnings. Raises StatusError 400, 415."""
        ...

    def redecode(
        self, definition: ResourceDefinition, version: Version, obj: Object, field_validation: str
    ) -> tuple[Object, list[str]]:
        """The same for a patched object, which is decoded JSON already."""
        ...

    def to_storage(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object: ...
    def from_storage(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object: ...

    def track(
        self, live: Object | None, obj: Object, version: Version, manager: str, subresource: str, now: int
    ) -> Object:
        """The object with its managedFields brought up to date for a write that is no apply."""
        ...

    def before_create(self, definition: ResourceDefinition, obj: Object, context: Context) -> None:
        """Prepares and validates a new object; raises StatusError 422."""
        ...

    def before_update(
        self, definition: ResourceDefinition, subresource: str, obj: Object, old: Object, context: Context
    ) -> None: ...

    def grace_period(self, definition: ResourceDefinition, obj: Object, options: DeleteOptions) -> int | None:
        """Seconds this object is granted to end; None when its kind knows no graceful deletion."""
        ...

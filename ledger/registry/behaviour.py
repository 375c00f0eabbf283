"""What differs between resources on their way in, behind one interface: built-ins follow their Go types and strategies,
custom resources their structural schema. The registry knows neither."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from ledger.apimachinery.resource import GVK, Object
from ledger.registry.options import DeleteOptions, WriteOptions
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.strategies import Context


class OfResource(Protocol):
    """What depends on the resource. Decoding is in the request's version, the rest in the storage version; objects may be
    changed in place."""

    def decode(
        self, definition: ResourceDefinition, version: Version, body: bytes, content_type: str, field_validation: str
    ) -> tuple[Object, list[str]]:
        """The object in the request's version, defaulted, and warnings. Raises StatusError 400, 415."""
        ...

    def redecode(
        self,
        definition: ResourceDefinition,
        version: Version,
        obj: Object,
        field_validation: str,
        strategic: Object | None = None,
        complaints: Sequence[str] = (),
    ) -> tuple[Object, list[str]]:
        """The same for a patched object, which is decoded JSON already.

        `strategic`: the patch, if it was of that type; `complaints`: what strict decoding of the patch complained of.
        """
        ...

    def patched(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object:
        """An object that admission patched, defaulted again; StatusError 422. What a schema does not have stays for now."""
        ...

    def prune(self, definition: ResourceDefinition, obj: Object) -> None:
        """Takes out, in place, what `patched` let stay."""
        ...

    def apply(
        self,
        definition: ResourceDefinition,
        version: Version,
        live: Object | None,
        config: Object,
        options: WriteOptions,
        subresource: str,
        now: int,
    ) -> Object:
        """The object after an apply, managedFields included. StatusError 400, 409 with the conflicts."""
        ...

    def to_storage(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object:
        """The object in the version a write works in: the storage version; of custom resources the request's."""
        ...

    def hub(self, definition: ResourceDefinition, stored: Object, live: Object) -> Object:
        """What a write replaces, in the version it works in, given as it is stored and in the request's version."""
        ...

    def at_rest(self, definition: ResourceDefinition, obj: Object) -> Object:
        """The object as it is stored, made from the version a write works in."""
        ...

    def from_storage(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object: ...

    def track(
        self,
        definition: ResourceDefinition,
        version: Version,
        live: Object | None,
        obj: Object,
        manager: str,
        subresource: str,
        now: int,
    ) -> Object:
        """The object with its managedFields brought up to date for a write that is no apply."""
        ...

    def before_create(self, definition: ResourceDefinition, obj: Object, context: Context) -> None:
        """Prepares and validates a new object; raises StatusError 422."""
        ...

    def before_update(
        self, definition: ResourceDefinition, subresource: str, obj: Object, old: Object, context: Context
    ) -> None: ...


class Behaviour(OfResource, Protocol):
    """What a server does with all its resources."""

    def of(self, definition: ResourceDefinition) -> OfResource:
        """The same for whoever asks much about one resource."""
        ...

    def decode_applied(self, body: bytes, field_validation: str) -> tuple[Object, list[str]]:
        """An apply's configuration as it is, and warnings. StatusError 400."""
        ...

    def decode_kind(self, kind: GVK, body: bytes, content_type: str, field_validation: str) -> tuple[Object, list[str]]:
        """An object of a kind that is no resource of its own: a Scale, a Binding."""
        ...

    def decode_options(self, body: bytes, content_type: str, kind: str) -> Object | None:
        """DeleteOptions and the like, of whatever group version; None when there is no body."""
        ...

    def unconverted(
        self, definition: ResourceDefinition, version: Version, objects: Iterable[Object]
    ) -> Iterator[tuple[Object, GVK]]:
        """What `from_storage` will ask a conversion webhook for, of each of these stored objects, and may change in place."""
        ...

    def grace_period(self, definition: ResourceDefinition, obj: Object, options: DeleteOptions) -> int | None:
        """Seconds this object is granted to end; None when its kind knows no graceful deletion."""
        ...

"""The one Behaviour of a server: built-in resources behave one way, custom resources another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ledger.apimachinery.resource import GVK, Object
from ledger.registry.builtin import Builtins
from ledger.registry.custom import Customs
from ledger.registry.options import DeleteOptions, WriteOptions
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.strategies import Context


class Behaviours:
    """ledger.registry.behaviour.Behaviour: asks whether the resource came in the box, and hands on."""

    def __init__(self, builtins: Builtins, customs: Customs) -> None:
        self.builtins, self.customs = builtins, customs

    def of(self, definition: ResourceDefinition) -> Builtins | Customs:
        return self.customs if definition.custom else self.builtins

    def decode(
        self, definition: ResourceDefinition, version: Version, body: bytes, content_type: str, field_validation: str
    ) -> tuple[Object, list[str]]:
        return self.of(definition).decode(definition, version, body, content_type, field_validation)

    def redecode(
        self,
        definition: ResourceDefinition,
        version: Version,
        obj: Object,
        field_validation: str,
        strategic: Object | None = None,
        complaints: Sequence[str] = (),
    ) -> tuple[Object, list[str]]:
        return self.of(definition).redecode(definition, version, obj, field_validation, strategic, complaints)

    def patched(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object:
        return self.of(definition).patched(definition, version, obj)

    def prune(self, definition: ResourceDefinition, obj: Object) -> None:
        self.of(definition).prune(definition, obj)

    def decode_applied(self, body: bytes, field_validation: str) -> tuple[Object, list[str]]:
        return self.builtins.decode_applied(body, field_validation)

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
        return self.of(definition).apply(definition, version, live, config, options, subresource, now)

    def decode_kind(self, kind: GVK, body: bytes, content_type: str, field_validation: str) -> tuple[Object, list[str]]:
        return self.builtins.decode_kind(kind, body, content_type, field_validation)

    def decode_options(self, body: bytes, content_type: str, kind: str) -> Object | None:
        return self.builtins.decode_options(body, content_type, kind)

    def to_storage(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object:
        return self.of(definition).to_storage(definition, version, obj)

    def at_rest(self, definition: ResourceDefinition, obj: Object) -> Object:
        return self.of(definition).at_rest(definition, obj)

    def hub(self, definition: ResourceDefinition, stored: Object, live: Object) -> Object:
        return self.of(definition).hub(definition, stored, live)

    def from_storage(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object:
        return self.of(definition).from_storage(definition, version, obj)

    def unconverted(
        self, definition: ResourceDefinition, version: Version, objects: Iterable[Object]
    ) -> Iterator[tuple[Object, GVK]]:
        return self.customs.unconverted(definition, version, objects)

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
        return self.of(definition).track(definition, version, live, obj, manager, subresource, now)

    def before_create(self, definition: ResourceDefinition, obj: Object, context: Context) -> None:
        self.of(definition).before_create(definition, obj, context)

    def before_update(
        self, definition: ResourceDefinition, subresource: str, obj: Object, old: Object, context: Context
    ) -> None:
        self.of(definition).before_update(definition, subresource, obj, old, context)

    def grace_period(self, definition: ResourceDefinition, obj: Object, options: DeleteOptions) -> int | None:
        return None if definition.custom else self.builtins.grace_period(definition, obj, options)

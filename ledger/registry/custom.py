"""Custom resources: untyped objects, held to the schema of their definition.

The registry works on them in the request's version; only what is stored is in the storage version. Follows
pkg/apiserver/customresource_handler.go and pkg/registry/customresource of k8s.io/apiextensions-apiserver.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy

from ledger.apimachinery import fieldset, json_codec
from ledger.apimachinery.apply import apply
from ledger.apimachinery.field import FieldError
from ledger.apimachinery.fieldmerge import check
from ledger.apimachinery.fieldset import Filter
from ledger.apimachinery.fieldtypes import TypeMismatch, compiled
from ledger.apimachinery.managedfields import Convert, update_managed_fields
from ledger.apimachinery.resource import GVK, Object, Schema, split_api_version
from ledger.apimachinery.scalefields import after_scale
from ledger.apimachinery.status import StatusError, forbidden, invalid
from ledger.apimachinery.times import rfc3339
from ledger.registry.conversions import Conversions
from ledger.registry.options import WriteOptions
from ledger.registry.replicas import replicas_paths
from ledger.scheme import codec
from ledger.scheme.conversion import by_webhook
from ledger.scheme.custom_codec import go_numbers, object_meta
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.strategies import Context
from ledger.scheme.structural import Structural, coerce, default, structural

_STATUS = fieldset.excluding(fieldset.of_paths([("f:status",)]))
_ALL_BUT_STATUS = fieldset.excluding(fieldset.of_paths([("f:metadata",), ("f:spec",)]))


class Customs:
    """The part of ledger.registry.behaviour.Behaviour that depends on a resource, for custom ones.

    Where a webhook converts, `conversions` has its answers or lets it be asked: NotConverted may come out of every method
    that changes versions.
    """

    def __init__(self, conversions: Conversions | None = None) -> None:
        self.conversions = conversions or Conversions()

    def decode(
        self, definition: ResourceDefinition, version: Version, body: bytes, content_type: str, field_validation: str
    ) -> tuple[Object, list[str]]:
        decoded = codec.decode(
            body,
            content_type,
            version.kind,
            validation=field_validation,
            custom=True,
            prune=lambda obj: _coerce(definition, obj),
        )
        return _defaulted(definition, decoded.obj), list(decoded.warnings)

    def redecode(
        self,
        definition: ResourceDefinition,
        version: Version,
        obj: Object,
        field_validation: str,
        strategic: Object | None = None,
        complaints: Sequence[str] = (),
    ) -> tuple[Object, list[str]]:
        shown = obj
        obj = go_numbers(deepcopy(obj))
        try:
            complaints = [*complaints, *_through_metadata(version, obj)]
            complaints += [f'unknown field "{path}"' for path in _coerce(definition, obj)]
        except codec.Refused as refused:
            raise invalid("", "", "", [_patch_error(shown, str(refused))]) from None
        if complaints and field_validation == "Strict":
            text = f"strict decoding error: {', '.join(complaints)}"
            raise invalid("", "", "", [_patch_error(shown, text)])
        return _defaulted(definition, obj), complaints if field_validation == "Warn" else []

    def patched(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object:
        obj = go_numbers(deepcopy(obj))
        try:
            _through_metadata(version, obj)
        except codec.Refused as refused:
            raise invalid("", "", "", [_patch_error(obj, str(refused))]) from None
        return _defaulted(definition, obj)

    def prune(self, definition: ResourceDefinition, obj: Object) -> None:
        _coerce(definition, obj)

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
        try:
            applied = apply(
                live,
                config,
                version.schema,
                version.kind,
                options.field_manager,
                options.force,
                subresource,
                rfc3339(now),
                _empty(version.kind),
                _reset_filter(version, subresource),
                self._convert(definition),
            )
        except TypeMismatch as error:
            raise StatusError(500, "", f"failed to convert the live object to another version: {error}") from None
        obj = deepcopy(applied)
        _through_metadata(version, obj)
        return _defaulted(definition, obj)

    def to_storage(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object:
        """The object itself: it is converted when it is stored (`at_rest`)."""
        return obj

    def at_rest(self, definition: ResourceDefinition, obj: Object) -> Object:
        wanted = definition.versions[definition.storage_version].kind
        if obj["apiVersion"] == wanted.api_version:
            return {**obj}
        return self._converted(definition, deepcopy(obj), wanted)

    def hub(self, definition: ResourceDefinition, stored: Object, live: Object) -> Object:
        return live

    def from_storage(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object:
        """The stored object as its schema of today shows it, in another version pruned by that one's. In place."""
        _coerce(definition, obj)
        _defaulted(definition, obj)
        if obj["apiVersion"] != version.kind.api_version:
            self._converted(definition, obj, version.kind)
        obj["kind"] = version.kind.kind
        return obj

    def _converted(self, definition: ResourceDefinition, obj: Object, kind: GVK) -> Object:
        """The object in another version, in place, pruned by its schema. Raises NotConverted."""
        if by_webhook(definition):
            converted = self.conversions.of(definition, obj, kind)
            obj.clear()
            obj.update(converted)
        obj["apiVersion"] = kind.api_version
        _coerce(definition, obj)
        return obj

    def unconverted(
        self, definition: ResourceDefinition, version: Version, objects: Iterable[Object]
    ) -> Iterator[tuple[Object, GVK]]:
        """What `from_storage` will ask a webhook for, of each of these stored objects. In place."""
        for obj in objects:
            if obj["apiVersion"] != version.kind.api_version:
                _coerce(definition, obj)
                yield _defaulted(definition, obj), version.kind

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
        entries = update_managed_fields(
            live if live is not None else _empty(version.kind),
            obj,
            version.schema,
            manager,
            version.kind.api_version,
            subresource,
            rfc3339(now),
            _reset_filter(version, subresource),
            self._convert(definition),
        )
        metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
        if subresource == "scale" and live is not None:
            entries = after_scale(live["metadata"].get("managedFields") or [], entries, replicas_paths(definition))
        if entries:
            metadata["managedFields"] = entries
        return {**obj, "metadata": metadata}

    def _convert(self, definition: ResourceDefinition) -> Convert | None:
        """For managers that write through another version than this request does."""
        if len(definition.versions) == 1:
            return None

        def convert_to(obj: Object, api_version: str) -> tuple[Object, Schema | None] | None:
            group, name = split_api_version(api_version)
            version = definition.versions.get(name) if group == definition.group else None
            if version is None:
                return None
            if by_webhook(definition) and obj.keys() - {"kind", "apiVersion", "metadata"}:
                return self.conversions.of(definition, obj, version.kind), version.schema
            # A field that the other version does not have makes the whole write leave managedFields as they are.
            check(obj, compiled(version.schema))
            return {**obj, "apiVersion": api_version}, version.schema

        return convert_to

    def before_create(self, definition: ResourceDefinition, obj: Object, context: Context) -> None:
        if definition.traits.more.get("terminating"):
            why = "create not allowed while custom resource definition is terminating"
            raise forbidden(definition.group_resource, obj["metadata"].get("name", ""), why)
        version = definition.versions[context.version]
        if "status" in version.subresources:
            obj.pop("status", None)
        obj["metadata"]["generation"] = 1
        from ledger.scheme import custom_validation  # with CEL and RE2: not before there are custom resources

        errors = custom_validation.validate_create(definition, version, obj)
        if errors:
            raise _invalid(obj, errors)
        context.warnings += custom_validation.finalizer_warnings(obj, None)

    def before_update(
        self, definition: ResourceDefinition, subresource: str, obj: Object, old: Object, context: Context
    ) -> None:
        version = definition.versions[context.version]
        if subresource == "status":
            _only_status(obj, old)
        else:
            if "status" in version.subresources:
                _put(obj, "status", old)
            if {**obj, "metadata": None} != {**old, "metadata": None}:
                obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        from ledger.scheme import custom_validation  # with CEL and RE2: not before there are custom resources

        errors = custom_validation.validate_update(definition, version, obj, old, subresource)
        if errors:
            raise _invalid(obj, errors)
        if subresource != "status":
            context.warnings += custom_validation.finalizer_warnings(obj, old)


def _defaulted(definition: ResourceDefinition, obj: Object) -> Object:
    obj.setdefault("metadata", {})
    node = _node(definition, obj)
    if node is not None:
        default(obj, node)
    return obj


def _coerce(definition: ResourceDefinition, obj: Object) -> list[str]:
    """Takes out what the schema of the object's own version does not have; objects of other kinds stay as they are."""
    group, name = split_api_version(obj["apiVersion"])
    if (group, obj["kind"]) != (definition.group, definition.kind):
        return []
    return coerce(obj, _node(definition, obj), GVK(group, name, definition.kind))


def _node(definition: ResourceDefinition, obj: Object) -> Structural | None:
    group, name = split_api_version(obj["apiVersion"])
    version = definition.versions.get(name)
    if version is None or version.structural is None or (group, obj["kind"]) != (definition.group, definition.kind):
        return None
    return structural(version.structural)


def _through_metadata(version: Version, obj: Object) -> list[str]:
    """Makes metadata what ObjectMeta has room for; what it has not. Raises Refused."""
    obj["metadata"], unknown = object_meta(obj.get("metadata"), version.kind)
    return [f'unknown field "metadata.{path}"' for path in unknown]


def _only_status(obj: Object, old: Object) -> None:
    """Makes `obj` the old object with the new status; managedFields tell of the change."""
    managed = obj["metadata"].get("managedFields")
    metadata = {name: value for name, value in old["metadata"].items() if name != "managedFields"}
    if managed:
        metadata["managedFields"] = managed
    kept = {"status": obj["status"]} if "status" in obj else {}
    obj.clear()
    obj.update({name: value for name, value in old.items() if name not in ("metadata", "status")})
    obj.update({"metadata": metadata, **kept})


def _put(obj: Object, name: str, source: Object) -> None:
    if name in source:
        obj[name] = source[name]
    else:
        obj.pop(name, None)


def _invalid(obj: Object, errors: list[FieldError]) -> Exception:
    group, _version = split_api_version(obj["apiVersion"])
    return invalid(group, obj["kind"], obj["metadata"].get("name", ""), errors)


def _empty(kind: GVK) -> Object:
    return {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": {}}


def _reset_filter(version: Version, subresource: str) -> Filter | None:
    """Keeps from managedFields what a write through this endpoint cannot change."""
    if "status" not in version.subresources or subresource == "scale":
        return None
    return _ALL_BUT_STATUS if subresource == "status" else _STATUS


def _patch_error(obj: Object, why: str) -> FieldError:
    """A patched object that does not decode is an invalid patch; it is shown with its keys sorted."""
    return FieldError("Invalid", "patch", json_codec.dumps_sorted(obj).decode(), why)

"""Built-in resources: decoded as their Go types, defaulted, prepared and validated by their strategies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import orjson

from ledger.apimachinery import fieldset, json_codec
from ledger.apimachinery.apply import apply
from ledger.apimachinery.field import FieldError
from ledger.apimachinery.fieldset import Filter
from ledger.apimachinery.managedfields import Convert, update_managed_fields
from ledger.apimachinery.patch_merge import sorted_keys
from ledger.apimachinery.resource import GVK, GroupResource, Object, Schema, split_api_version
from ledger.apimachinery.scalefields import after_scale
from ledger.apimachinery.status import StatusError, invalid
from ledger.apimachinery.times import rfc3339
from ledger.registry.applied import decode_applied
from ledger.registry.body import ordered_metadata
from ledger.registry.converting import shown_patch, strategic_error
from ledger.registry.options import DeleteOptions, WriteOptions
from ledger.registry.replicas import replicas_paths
from ledger.scheme import codec, strategies
from ledger.scheme.body import has_opaque
from ledger.scheme.conversion import convert, stored_kind, to_storage
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.normalize import may_hold_required_lists, normalize, without_empty_lists
from ledger.scheme.strategies import Context
from ledger.scheme.strategies.deletion import pod_grace_period
from ledger.scheme.strategies.validation import has_rules, validate_create, validate_update


class Builtins:
    """ledger.registry.behaviour.Behaviour for every resource that came in the box.

    `owner`: the resource that stores this one's objects (a historical Deployment is an apps one), whose rules hold.
    """

    def __init__(self, owner: Callable[[ResourceDefinition], ResourceDefinition]) -> None:
        self._owner = owner

    def _rules(self, definition: ResourceDefinition) -> ResourceDefinition:
        """Whose strategy holds: the resource's own where there is one, else that of the owner."""
        return definition if definition.storage is None or has_rules(definition) else self._owner(definition)

    def decode(
        self, definition: ResourceDefinition, version: Version, body: bytes, content_type: str, field_validation: str
    ) -> tuple[Object, list[str]]:
        decoded = codec.decode(body, content_type, version.kind, validation=field_validation)
        return self._defaulted(definition, version, decoded)

    def redecode(
        self,
        definition: ResourceDefinition,
        version: Version,
        obj: Object,
        field_validation: str,
        strategic: Object | None = None,
        complaints: Sequence[str] = (),
    ) -> tuple[Object, list[str]]:
        try:
            if strategic is not None or obj.get("apiVersion"):
                decoded = codec.decode_value(obj, version.kind, check=field_validation != "Ignore")
            else:
                decoded = _decoded_as_nothing(obj, version)
        except codec.Refused as refused:
            if strategic is not None:
                raise invalid("", "", "", [strategic_error(strategic, refused)]) from None
            raise invalid("", "", "", [_patch_error(obj, str(refused))]) from None
        warnings = [*complaints, *decoded.warnings]
        if warnings and field_validation == "Strict":
            text = f"strict decoding error: {', '.join(warnings)}"
            error = _patch_error(obj, text) if strategic is None else shown_patch(strategic, text)
            raise invalid("", "", "", [error])
        return self._defaulted(definition, version, decoded)[0], warnings

    def patched(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object:
        return self.redecode(definition, version, obj, "Ignore")[0]

    def prune(self, definition: ResourceDefinition, obj: Object) -> None:
        """A Go type has room for nothing unknown."""

    def _defaulted(
        self, definition: ResourceDefinition, version: Version, decoded: codec.Decoded
    ) -> tuple[Object, list[str]]:
        obj = decoded.obj
        obj.setdefault("metadata", {})
        strategies.default(definition, version, obj)
        return obj, list(decoded.warnings)

    def decode_applied(self, body: bytes, field_validation: str) -> tuple[Object, list[str]]:
        """An apply's configuration as it is, and warnings. StatusError 400."""
        return decode_applied(body, field_validation)

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
        applied = apply(
            live,
            config,
            version.schema,
            version.kind,
            options.field_manager,
            options.force,
            subresource,
            rfc3339(now),
            empty(version.kind),
            reset_filter(definition, subresource),
            self._convert(definition),
        )
        if subresource == "scale":
            for entry in applied["metadata"].get("managedFields") or ():
                if entry.get("subresource") == "scale":
                    entry.pop("time", None)  # as in track
        try:
            return self.redecode(definition, version, _sorted(version.kind, applied), "Ignore")[0]
        except StatusError:  # said of the first field in order
            return self.redecode(definition, version, sorted_keys(applied), "Ignore")[0]

    def decode_kind(self, kind: GVK, body: bytes, content_type: str, field_validation: str) -> tuple[Object, list[str]]:
        """An object of a kind that is no resource of its own: a Scale, a Binding."""
        decoded = codec.decode(body, content_type, kind, validation=field_validation)
        decoded.obj.setdefault("metadata", {})
        return decoded.obj, list(decoded.warnings)

    def decode_options(self, body: bytes, content_type: str, kind: str) -> Object | None:
        """DeleteOptions and the like, of whatever group version; None when there is no body."""
        if not body:
            return None
        expected = GVK("", "v1", kind)
        return codec.decode(body, content_type, expected, validation="Ignore", accepts=lambda _: True, bare=True).obj

    def to_storage(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object:
        kind, metadata = version.kind, obj["metadata"]
        if may_hold_required_lists(kind):
            whole = without_empty_lists(kind, obj)
            if whole is not obj:
                obj = {"kind": kind.kind, "apiVersion": kind.api_version} | whole | {"metadata": metadata}
        return obj if kind == stored_kind(definition) else to_storage(definition, obj)

    def hub(self, definition: ResourceDefinition, stored: Object, live: Object) -> Object:
        return stored

    def at_rest(self, definition: ResourceDefinition, obj: Object) -> Object:
        return obj

    def from_storage(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object:
        if obj["apiVersion"] == version.kind.api_version:
            return obj
        return convert(definition, obj, version.name)

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
        old = live if live is not None else empty(version.kind)
        entries = update_managed_fields(
            old,
            obj,
            version.schema,
            manager,
            version.kind.api_version,
            subresource,
            rfc3339(now),
            reset_filter(definition, subresource),
            self._convert(definition),
        )
        metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
        if subresource == "scale":
            entries = after_scale(old["metadata"].get("managedFields") or [], entries, replicas_paths(definition))
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
            return self.from_storage(definition, version, obj), version.schema

        return convert_to

    def before_create(self, definition: ResourceDefinition, obj: Object, context: Context) -> None:
        definition = self._rules(definition)
        strategies.prepare_for_create(definition, obj, context)
        errors = validate_create(definition, obj, context)
        if errors:
            raise self._invalid(definition, obj, errors)
        context.warnings += strategies.warnings(definition, obj, None)
        strategies.canonicalize(definition, obj, context)

    def before_update(
        self, definition: ResourceDefinition, subresource: str, obj: Object, old: Object, context: Context
    ) -> None:
        definition = self._rules(definition)
        strategies.prepare_for_update(definition, obj, old, context, subresource)
        errors = validate_update(definition, obj, old, context, subresource)
        if errors:
            raise self._invalid(definition, obj, errors)
        context.warnings += strategies.warnings(definition, obj, old, subresource)
        strategies.canonicalize(definition, obj, context)

    def _invalid(self, definition: ResourceDefinition, obj: Object, errors: list[FieldError]) -> StatusError:
        """422 about the kind as it is stored."""
        owner = self._owner(definition)
        return invalid(owner.group, owner.kind, obj["metadata"].get("name", ""), errors)

    def grace_period(self, definition: ResourceDefinition, obj: Object, options: DeleteOptions) -> int | None:
        return pod_grace_period(obj, options.grace_s) if definition.traits.graceful_deletion else None


def _sorted(kind: GVK, obj: Object) -> Object:
    """The object as it leaves Go's maps, for its type to be decoded. Structs and maps have an order of their own there, so
    what counts is opaque to the type: fieldsV1 in all kinds, and what some kinds have besides."""
    if has_opaque(kind):
        return sorted_keys(obj)
    metadata = obj["metadata"]
    if "managedFields" not in metadata:
        return obj
    entries = [
        {**entry, "fieldsV1": orjson.loads(orjson.dumps(entry["fieldsV1"], option=orjson.OPT_SORT_KEYS))}
        for entry in metadata["managedFields"]
    ]
    return {**obj, "metadata": {**metadata, "managedFields": entries}}


@cache
def empty(kind: GVK) -> Object:
    """What a create is compared with: the kind's zero value as Go prints it. Not to be changed."""
    return {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": {}, **normalize(kind, {})}


def reset_filter(definition: ResourceDefinition, subresource: str) -> Filter | None:
    """Keeps from managedFields what a write through this endpoint cannot change."""
    place = (definition.group_resource, subresource)
    if place not in _filters:
        _filters[place] = _make_filter(definition, subresource)
    return _filters[place]


_filters: dict[tuple[GroupResource, str], Filter | None] = {}


def _make_filter(definition: ResourceDefinition, subresource: str) -> Filter | None:
    only = strategies.reset_fields_filter(definition, subresource)
    if only is not None:
        return fieldset.including(*map(_pattern, only))
    paths = strategies.reset_fields(definition, subresource)
    return fieldset.excluding(fieldset.of_paths(map(fieldset.field_path, paths))) if paths else None


def _pattern(dotted: str) -> tuple[str, ...]:
    """ "spec.containers[].resources" as a path in which "*" is any element."""
    steps: list[str] = []
    for name in dotted.split("."):
        steps.append(fieldset.field(name.removesuffix("[]")))
        if name.endswith("[]"):
            steps.append("*")
    return tuple(steps)


def _decoded_as_nothing(obj: Object, version: Version) -> codec.Decoded:
    """A patched object that no longer says its apiVersion: upstream reads it into its internal type, which knows no
    JSON names, so nothing of it is kept and every field is unknown."""
    unknown = tuple(f'unknown field "{name}"' for name in sorted(obj) if name not in ("kind", "apiVersion"))
    return codec.Decoded(empty(version.kind), version.kind, unknown)


def _patch_error(obj: Object, why: str) -> FieldError:
    """A patched object that does not decode is an invalid patch (jsonPatcher.applyPatchToCurrentObject)."""
    shown = {name: obj[name] for name in sorted(obj)}
    metadata = obj.get("metadata")
    if isinstance(metadata, dict) and list(metadata) != sorted(metadata):  # a patch that reached into it has sorted it
        ordered = ordered_metadata(metadata)
        at = list(ordered).index("uid") + 1 if "uid" in ordered else 0
        revision = [("resourceVersion", metadata["resourceVersion"])] if "resourceVersion" in metadata else []
        pairs = list(ordered.items())
        shown["metadata"] = dict(pairs[:at] + revision + pairs[at:])
    return FieldError("Invalid", "patch", json_codec.dumps(shown).decode(), why)

"""Structural schemas of custom resources: what stays of an object, and what is filled in.

A schema is compiled once into `Structural` nodes. `coerce` makes of a decoded object what its schema has room for
(unknown fields go, so do nulls that nothing could stand for, metadata becomes ObjectMeta), `default` fills in what the
schema has defaults for. Both work in place. Follows pkg/apiserver/schema/{pruning,defaulting,objectmeta} of
k8s.io/apiextensions-apiserver.
"""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from typing import Any

from ledger.apimachinery.field import invalid
from ledger.apimachinery.resource import GVK, Schema
from ledger.scheme.body import Refused
from ledger.scheme.custom_codec import object_meta

META_FIELDS = ("apiVersion", "kind", "metadata")
NO_DEFAULT: Any = object()


class Structural:
    """One node of a schema. `additional` is None also where additionalProperties is only true (`additional_any`)."""

    __slots__ = (
        "additional",
        "additional_any",
        "default",
        "embedded",
        "has_defaults",
        "has_embedded",
        "items",
        "list_keys",
        "list_type",
        "nullable",
        "preserve",
        "properties",
    )

    def __init__(self, schema: Schema) -> None:
        self.properties = {name: Structural(one) for name, one in (schema.get("properties") or {}).items()}
        more = schema.get("additionalProperties")
        self.additional = Structural(more) if isinstance(more, dict) else None
        self.additional_any = bool(more) or isinstance(more, dict)
        items = schema.get("items")
        self.items = Structural(items) if isinstance(items, dict) else None
        self.nullable = bool(schema.get("nullable"))
        self.default: Any = schema["default"] if schema.get("default") is not None else NO_DEFAULT
        self.preserve = schema.get("x-kubernetes-preserve-unknown-fields") is True
        self.embedded = schema.get("x-kubernetes-embedded-resource") is True
        self.list_type: str = schema.get("x-kubernetes-list-type") or ""
        self.list_keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        below: list[Structural] = [*self.properties.values(), *filter(None, (self.additional, self.items))]
        self.has_defaults: bool = self.default is not NO_DEFAULT or any(one.has_defaults for one in below)
        self.has_embedded: bool = self.embedded or any(one.has_embedded for one in below)

    def child(self, name: str) -> Structural | None:
        """The schema of a member: None where nothing is known of it."""
        return self.properties.get(name) or self.additional


def structural(schema: Schema) -> Structural:
    """The compiled form of a schema, which must not change any more."""
    return _compiled(_Identity(schema))


class _Identity:
    """A cache key that is the schema dict itself, not what it holds."""

    __slots__ = ("schema",)

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def __hash__(self) -> int:
        return id(self.schema)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.schema is self.schema


@lru_cache(maxsize=1024)
def _compiled(identity: _Identity) -> Structural:
    root = Structural(identity.schema)
    _prune_defaults(root)
    return root


def _prune_defaults(node: Structural) -> None:
    """Defaults hold only what their own schema has room for (defaulting.PruneDefaults)."""
    if node.default is not NO_DEFAULT:
        node.default = deepcopy(node.default)
        prune(node.default, node)
    for below in (*node.properties.values(), node.additional, node.items):
        if below is not None:
            _prune_defaults(below)


# --- what stays ------------------------------------------------------------------------------------------------------
def coerce(obj: dict[str, Any], root: Structural | None, kind: GVK) -> list[str]:
    """Takes out of an object what its schema does not have, and gives the paths of what was unknown, sorted.

    The object's own kind, apiVersion and metadata are the caller's business. Raises Refused where the metadata of an
    embedded object cannot be decoded.
    """
    unknown: list[str] = []
    _prune(obj, root, "", unknown, META_FIELDS)
    unknown.sort()
    if root is None:
        return unknown
    drop_nulls(obj, root)
    if root.has_embedded:
        unknown += sorted(coerce_embedded(obj, root, "", kind))
    return unknown


def prune(value: Any, node: Structural | None) -> None:
    """Takes unknown fields out of a value below the root."""
    _prune(value, node, "", [], META_FIELDS if node is not None and node.embedded else ())


def _prune(value: Any, node: Structural | None, path: str, unknown: list[str], kept: tuple[str, ...]) -> None:
    if node is not None and node.preserve:
        _keep_unknown(value, node, path, unknown, kept)
    elif isinstance(value, dict):
        for name in list(value):
            if name in kept:
                continue
            at = f"{path}.{name}" if path else name
            known = None if node is None else node.child(name)
            if known is not None or (node is not None and node.additional_any):
                _descend(value[name], known, at, unknown)
            else:
                if name not in META_FIELDS or path:
                    unknown.append(at)
                del value[name]
    elif isinstance(value, list):
        items = None if node is None else node.items
        for index, one in enumerate(value):
            _descend(one, items, f"{path}[{index}]", unknown)


def _keep_unknown(value: Any, node: Structural, path: str, unknown: list[str], kept: tuple[str, ...]) -> None:
    """Where unknown fields stay, what is known is pruned all the same."""
    if isinstance(value, dict):
        for name, one in value.items():
            if name in kept:
                continue
            known = node.child(name)
            if known is not None or node.additional_any:
                _descend(one, known, f"{path}.{name}" if path else name, unknown)
    elif isinstance(value, list) and node.items is not None:
        for index, one in enumerate(value):
            items = node.items
            _keep_unknown(one, items, f"{path}[{index}]", unknown, META_FIELDS if items.embedded else ())


def _descend(value: Any, node: Structural | None, path: str, unknown: list[str]) -> None:
    if isinstance(value, (dict, list)):
        _prune(value, node, path, unknown, META_FIELDS if node is not None and node.embedded else ())


def drop_nulls(value: Any, node: Structural | None) -> None:
    """Takes out nulls that are neither allowed nor stand for a default (PruneNonNullableNullsWithoutDefaults)."""
    if isinstance(value, dict):
        for name in list(value):
            known = None if node is None else node.child(name)
            one = value[name]
            if one is None and known is not None and not known.nullable and known.default is NO_DEFAULT:
                del value[name]
            elif known is not None:
                drop_nulls(one, known)
    elif isinstance(value, list) and node is not None and node.items is not None:
        for one in value:
            drop_nulls(one, node.items)


def coerce_embedded(value: Any, node: Structural | None, path: str, kind: GVK) -> list[str]:
    """Makes the metadata of embedded objects what ObjectMeta has room for; the paths of what it has not, unsorted."""
    unknown: list[str] = []
    _coerce_embedded(value, node, path, kind, unknown)
    return unknown


def _coerce_embedded(value: Any, node: Structural | None, path: str, kind: GVK, unknown: list[str]) -> None:
    if node is None or not node.has_embedded:
        return
    if isinstance(value, dict):
        if node.embedded:
            _coerce_meta(value, path, kind, unknown)
        for name, one in value.items():
            _coerce_embedded(one, node.child(name), f"{path}.{name}" if path else name, kind, unknown)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            _coerce_embedded(one, node.items, f"{path}[{index}]", kind, unknown)


def _coerce_meta(value: dict[str, Any], path: str, kind: GVK, unknown: list[str]) -> None:
    for name in ("apiVersion", "kind"):
        if name in value and not isinstance(value[name], str):
            raise Refused(str(invalid(f"{path}.{name}", value[name], "must be a string")), kind)
    if "metadata" not in value:
        return
    try:
        value["metadata"], paths = object_meta(value["metadata"], kind)
    except Refused as refused:
        raise Refused(str(invalid(f"{path}.metadata", value["metadata"], str(refused))), kind) from None
    if value["metadata"].get("creationTimestamp") is None:
        value["metadata"].pop("creationTimestamp", None)
    unknown += [f"{path}.metadata.{one}" for one in paths]


# --- what is filled in -----------------------------------------------------------------------------------------------
def default(value: Any, node: Structural | None) -> None:
    """Fills in defaults, also in place of nulls that are not allowed; what is filled in gets its own defaults too."""
    if node is None or not node.has_defaults:
        return
    if isinstance(value, dict):
        for name, known in node.properties.items():
            if known.default is not NO_DEFAULT and (name not in value or (value[name] is None and not known.nullable)):
                value[name] = deepcopy(known.default)
        for name, one in value.items():
            below = node.child(name)
            if one is None and below is not None and name not in node.properties and not below.nullable:
                one = value[name] = _default_of(below)
            default(one, below)
    elif isinstance(value, list) and node.items is not None:
        for index, one in enumerate(value):
            if one is None and not node.items.nullable:
                one = value[index] = _default_of(node.items)
            default(one, node.items)


def _default_of(node: Structural) -> Any:
    return None if node.default is NO_DEFAULT else deepcopy(node.default)

"""What a schema says about ownership: which lists have elements with names, which maps are one piece.

An OpenAPI schema is compiled once into `Type`s, following k8s.io/kube-openapi/pkg/schemaconv, and kept for as long as it is
used. A type may be several things at once (an untyped value is a scalar, a list or a map); `Type.kind` settles which.
"""

from __future__ import annotations

from typing import Any

from ledger.apimachinery import fieldset
from ledger.apimachinery.resource import Schema


class TypeMismatch(ValueError):
    """A value that does not fit its type; the text is upstream's."""


class ListType:
    """`associative`: elements are named by `keys`, or by their value when there are no keys (a set). Else one piece."""

    __slots__ = ("associative", "defaults", "element", "keys")

    def __init__(self, associative: bool, keys: tuple[str, ...], element: Type) -> None:
        self.associative, self.keys, self.element = associative, keys, element
        self.defaults: dict[str, Any] = {}  # of key fields that an element may leave out


class MapType:
    """`fields` are declared; anything else is an `element`, or not allowed where there is none."""

    __slots__ = ("atomic", "element", "fields")

    def __init__(self, atomic: bool) -> None:
        self.atomic = atomic
        self.fields: dict[str, Type] = {}
        self.element: Type | None = None


class Type:
    """What a value may be: any of a scalar ("string", "numeric", "boolean", "untyped"), a list and a map."""

    __slots__ = ("list_type", "map_type", "scalar")

    def __init__(self, scalar: str = "", list_type: ListType | None = None, map_type: MapType | None = None) -> None:
        self.scalar, self.list_type, self.map_type = scalar, list_type, map_type

    def kind(self, value: Any) -> str:
        """ "map", "scalar" or "list": by the value if the type allows it, else the first the type has."""
        if isinstance(value, dict):
            if self.map_type:
                return "map"
        elif isinstance(value, list):
            if self.list_type:
                return "list"
        elif value is not None and self.scalar:
            return "scalar"
        return "map" if self.map_type else "scalar" if self.scalar else "list"


def _untyped(nested_maps_apart: bool) -> Type:
    """Values without a schema: lists are one piece; maps too, or (deduced) their entries are owned one by one."""
    whole = Type("untyped")
    whole.list_type, whole.map_type = ListType(False, (), whole), MapType(atomic=True)
    whole.map_type.element = whole
    if not nested_maps_apart:
        return whole
    deduced = Type("untyped", ListType(False, (), whole), MapType(atomic=False))
    assert deduced.map_type
    deduced.map_type.element = deduced
    return deduced


UNTYPED = _untyped(nested_maps_apart=False)
DEDUCED = _untyped(nested_maps_apart=True)


def compiled(schema: Schema | None) -> Type:
    """The type of a whole object; without a schema everything is deduced from the values."""
    if schema is None:
        return DEDUCED
    known = _compiled.get(id(schema))
    return known[1] if known is not None else _compile(schema)


_COMPILED_MAX = 1024
_compiled: dict[int, tuple[Schema, Type]] = {}  # by the schema's id, which is its own as long as it is here


def _compile(schema: Schema) -> Type:
    if len(_compiled) >= _COMPILED_MAX:
        _compiled.clear()
    made = _Compiler(schema).type(schema, preserve=False)
    _compiled[id(schema)] = schema, made
    return made


class _Compiler:
    """Compiles one root; every schema dict once, so that a cyclic schema gives a cyclic type."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._types: dict[tuple[int, bool], Type] = {}

    def type(self, schema: Schema, preserve: bool) -> Type:
        """`preserve`: an outer schema keeps unknown fields."""
        target = _referred(schema)
        if target is not schema:
            return self._overridden(self.type(target, preserve), schema.get("x-kubernetes-map-type"))
        known = self._types.get((id(schema), preserve))
        if known is None:
            known = self._types[id(schema), preserve] = Type()
            self._fill(known, schema, preserve or schema.get("x-kubernetes-preserve-unknown-fields") is True)
        return known

    def _fill(self, made: Type, schema: Schema, preserve: bool) -> None:
        match schema.get("type", ""):
            case "object":
                made.map_type = self._map(schema, preserve)
            case "array":
                made.list_type = self._list(schema, preserve)
            case "integer" | "number":
                made.scalar = "numeric"
            case "boolean":
                made.scalar = "boolean"
            case "string":
                made.scalar = "string" if schema.get("format", "") in ("", "byte") else "untyped"
            case _:
                made.scalar = "untyped"
                made.list_type, made.map_type = self._list(schema, preserve), self._map(schema, preserve)

    def _list(self, schema: Schema, preserve: bool) -> ListType:
        items = schema.get("items")
        made = ListType(*_list_relation(schema), self.type(items, preserve) if items is not None else UNTYPED)
        properties = _referred(items).get("properties", {}) if items is not None else {}
        for key in made.keys:
            default = properties.get(key, {}).get("default")
            if default is not None:
                made.defaults[key] = default
        return made

    def _map(self, schema: Schema, preserve: bool) -> MapType:
        properties = schema.get("properties") or {}
        made = MapType(schema.get("x-kubernetes-map-type") == "atomic")
        made.fields = {name: self.type(member, preserve) for name, member in properties.items()}
        if schema.get("x-kubernetes-embedded-resource") is True:
            for name in ("apiVersion", "kind", "metadata"):
                member = self._root.get("properties", {}).get(name)
                if member is not None:
                    made.fields[name] = self.type(member, preserve=False)
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            made.element = self.type(more, preserve)
        elif more is True or (more is None and (preserve or (not properties and "type" not in schema))):
            made.element = DEDUCED
        elif more is None and not properties and "x-kubernetes-map-type" not in schema:
            # Built-in kinds: a RawExtension, which is one piece (or an empty struct, where it makes no difference).
            made.atomic, made.element = True, UNTYPED
        return made

    @staticmethod
    def _overridden(made: Type, relation: str | None) -> Type:
        """A property may say that the map type it refers to is one piece, or is not."""
        if relation is None or made.map_type is None:
            return made
        own = MapType(relation == "atomic")
        own.fields, own.element = made.map_type.fields, made.map_type.element
        return Type(made.scalar, made.list_type, own)


def _referred(schema: Schema) -> Schema:
    """The type that a property refers to in the form {allOf: [type], more keys}; else the schema itself."""
    parts = schema.get("allOf")
    if not parts or len(parts) != 1 or "type" in schema or "x-kubernetes-int-or-string" in schema:
        return schema
    return _referred(parts[0])


def _list_relation(schema: Schema) -> tuple[bool, tuple[str, ...]]:
    """(are elements owned one by one, their key fields)."""
    match schema.get("x-kubernetes-list-type"):
        case "map":
            return True, tuple(schema.get("x-kubernetes-list-map-keys", ()))
        case "set":
            return True, ()
        case None if schema.get("x-kubernetes-patch-strategy", "").split(",")[0] == "merge":
            merge_key = schema.get("x-kubernetes-patch-merge-key")
            return True, (merge_key,) if merge_key else ()
    return False, ()


def list_element(made: ListType, item: Any) -> str:
    """The path element of one list element. Raises TypeMismatch when it has no name."""
    keys = made.keys
    if not keys:
        return fieldset.value(_set_item(item))
    if not isinstance(item, dict):
        nothing = "a null element" if item is None else "non-map elements"
        raise TypeMismatch(f"associative list with keys may not have {nothing}")
    if len(keys) == 1 and isinstance(name := item.get(keys[0]), str):
        return f'k:{{"{keys[0]}":{fieldset.scalar(name)}}}'
    present = {
        key: item[key] if key in item else made.defaults[key] for key in keys if key in item or key in made.defaults
    }
    if not present:
        shown = " ".join(f'"{key}"' for key in keys)
        text = f"associative list with keys has an element that omits all key fields [{shown}]"
        raise TypeMismatch(f"{text} (and doesn't have default values for any key fields)")
    return fieldset.key(present)


def _set_item(item: Any) -> Any:
    if isinstance(item, dict):
        raise TypeMismatch("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise TypeMismatch("not supported: associative list with lists as elements")
    if item is None:
        raise TypeMismatch("associative list without keys has an element that's an explicit null")
    return item

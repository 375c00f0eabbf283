"""How large the values of a schema can be (SchemaDeclType of k8s.io/apiserver/pkg/cel/common).

What a schema does not bound is bounded by the size of a request: as many elements as fit into it, each as short as its own
schema lets it be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger.apimachinery.resource import Schema
from ledger.scheme.cel.schemas import as_resource, is_embedded, once, writable

REQUEST_BYTES_MAX = 3 << 20
ITEMS, VALUES, KEYS = "@items", "@values", "@keys"
_QUOTES = 2  # around a text, a list or an object
_FORMATS = {"duration": (3, 32), "date": (12, 12), "date-time": (21, 32)}  # bytes in JSON: at least, at most
_SCALARS = {"boolean": 4, "number": 1, "integer": 1}


@dataclass(slots=True)
class Shape:
    """A schema's values: `elements` at most (characters, items or entries), `bytes_min` in JSON."""

    elements: int = 0
    bytes_min: int = _QUOTES
    element: Shape | None = None  # of a list's items, or a map's values
    key: Shape | None = None
    fields: dict[str, Shape] = field(default_factory=dict)  # by how rules write them

    def at(self, path: Sequence[str]) -> Shape | None:
        """What a path leads to, None where it leads out of the schema. Steps are names of fields, or one of @..."""
        found: Shape | None = self
        for step in path:
            if found is None:
                return None
            if step in (ITEMS, VALUES):
                found = found.element
            else:
                found = found.key if step == KEYS else found.fields.get(step)
        return found

    @property
    def occurrences(self) -> int:
        """How often such a value can occur in a request."""
        return REQUEST_BYTES_MAX // (self.bytes_min + 1)


def shape_of(schema: Schema, root: bool) -> Shape | None:
    """None for what rules cannot see. `root`: a whole object, whose metadata has names."""
    return _shape(as_resource(schema) if root and not schema.get("x-kubernetes-int-or-string") else schema)


@once
def _shape(schema: Schema) -> Shape | None:
    if schema.get("x-kubernetes-int-or-string"):
        return Shape(_text_length(schema, REQUEST_BYTES_MAX - _QUOTES), 1)
    match schema.get("type"):
        case "array":
            return _list(schema)
        case "object":
            more = schema.get("additionalProperties")
            return _map(schema, more) if isinstance(more, dict) else _object(schema)
        case "string":
            return _text(schema)
        case scalar if scalar in _SCALARS:
            return Shape(0, _SCALARS[scalar])
    return None


def _list(schema: Schema) -> Shape | None:
    items = schema.get("items")
    element = shape_of(items, is_embedded(items)) if isinstance(items, dict) else None
    if element is None:
        return None
    most = (REQUEST_BYTES_MAX - _QUOTES) // (element.bytes_min + 1)  # and a comma each
    return Shape(_bound(schema, "maxItems", most), element=element)


def _map(schema: Schema, more: Schema) -> Shape | None:
    element = shape_of(more, is_embedded(more))
    if element is None:
        return None
    most = (REQUEST_BYTES_MAX - _QUOTES) // (element.bytes_min + 6)  # a key, its quotes, a colon and a comma each
    return Shape(_bound(schema, "maxProperties", most), element=element, key=Shape())


def _object(schema: Schema) -> Shape:
    found = Shape()
    required = set(schema.get("required") or ())
    written = {name: escaped for escaped, (name, _) in writable(schema).items()}
    for name, one in (schema.get("properties") or {}).items():
        below = shape_of(one, is_embedded(one))
        if below is None:
            continue
        if name in written:
            found.fields[written[name]] = below
        if name in required and one.get("default") is None:
            found.bytes_min += len(name.encode()) + below.bytes_min + 4
    return found


def _text(schema: Schema) -> Shape:
    kind = schema.get("format") or ""
    if kind in _FORMATS:
        least, most = _FORMATS[kind]
        return Shape(most, least)
    if kind == "byte":
        return Shape(_bound(schema, "maxLength", REQUEST_BYTES_MAX - _QUOTES))
    most = REQUEST_BYTES_MAX - _QUOTES
    if schema.get("enum"):
        most = max((len(one.encode()) for one in schema["enum"] if isinstance(one, str)), default=0)
    return Shape(_text_length(schema, most))


def _text_length(schema: Schema, most: int) -> int:
    """maxLength counts characters, of up to four bytes each."""
    return 4 * _bound(schema, "maxLength", 0) if schema.get("maxLength") is not None else most


def _bound(schema: Schema, keyword: str, most: int) -> int:
    given = schema.get(keyword)
    return most if given is None else max(0, given)

"""Objects as they look after Go decoded them into their struct, stored them and encoded them again.

For each Go type a function is compiled once, a closure over its fields in Go's order: pods take tens of microseconds.
Nulls and empty omitempty fields vanish, required fields appear with their zero value, maps are sorted, quantities and
times become canonical, unknown fields go. Empty lists become null where Go prints them at all, because a server that
stores protobuf cannot tell them from absent ones; the groups in `JSON_STORED` keep them.

Anything unusual raises `Mismatch`; `ledger.scheme.strict` then finds out what exactly was wrong, in Go's words.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Callable
from functools import cache
from typing import Any

from ledger.apimachinery import quantity
from ledger.apimachinery.resource import GVK
from ledger.scheme import types
from ledger.scheme.scalars import INT32, INT64, GoError, scalar

Convert = Callable[[Any], Any]

# Served by the apiextensions and aggregation servers, which write JSON to etcd.
JSON_STORED = frozenset({"apiextensions.k8s.io", "apiregistration.k8s.io"})

_OMIT: Any = object()  # leave the field out
_KEEP: Any = object()  # print it even when it is empty


class Mismatch(Exception):
    """The object does not fit its type."""


class UnknownField(Mismatch):
    """A field the type does not have; only raised by the strict variant."""


def normalize(gvk: GVK, obj: dict[str, Any], stored: bool = True) -> dict[str, Any]:
    """`obj` after a decode, store and encode round trip of its Go type; the result shares no container with it.

    Unknown fields are dropped. `stored` False: as it is before it was stored, when required lists may still be empty
    rather than null. Raises Mismatch where Go could not decode it. Kinds without a Go type come back as they are.
    """
    id = types.type_of(gvk)
    if id is None:
        return obj
    normal: dict[str, Any] = struct_converter(id, not stored or gvk.group in JSON_STORED, False)(obj)
    return normal


def normal_form(id: str, obj: dict[str, Any], known: bool = False) -> dict[str, Any]:
    """`obj` after it was decoded into a Go type and before it was stored; the result shares no container with it.

    Unknown fields are dropped; `known`: they are UnknownField. Raises Mismatch where Go could not decode it.
    """
    normal: dict[str, Any] = struct_converter(id, True, known)(obj)
    return normal


@cache
def may_hold_required_lists(gvk: GVK) -> bool:
    """Whether `without_empty_lists` may have anything to do for a kind."""
    id = types.type_of(gvk)
    return id is not None and gvk.group not in JSON_STORED and _empty_list_finder(id) is not None


def without_empty_lists(gvk: GVK, obj: dict[str, Any]) -> dict[str, Any]:
    """`obj`, normal but as it was before it was stored, as it comes back from the store: required empty lists are null."""
    id = types.type_of(gvk)
    if id is None or gvk.group in JSON_STORED:
        return obj
    holds = _empty_list_finder(id)
    return normalize(gvk, obj) if holds is not None and holds(obj) else obj


@cache
def _empty_list_finder(expression: str) -> Callable[[Any], bool] | None:
    """Tells whether a value of a type holds a required list that is empty; None: no such value does.

    Goes only where required lists may be.
    """
    expression, (form, element, _) = types.resolve(expression)
    if not _may_hold_list(expression, frozenset()):
        return None
    if form == "pointer":
        return _empty_list_finder(element)
    if form in ("list", "map"):
        return _finder_of_elements(form, element)
    plan: list[tuple[str, bool, Callable[[Any], bool] | None]] = []

    def holds(obj: Any) -> bool:
        if not plan:  # filled on first use, as types may contain themselves
            fields = [field for field, _ in types.flat_fields(expression)]
            found = [(one.json, _is_required_list(one), _empty_list_finder(one.type)) for one in fields]
            plan.extend(one for one in found if one[1] or one[2])
        for name, required, below in plan:
            value = obj.get(name)
            if value is not None and ((required and not value) or (below is not None and below(value))):
                return True
        return False

    return holds


def _is_required_list(field: types.Field) -> bool:
    return types.resolve(field.type)[1].form == "list" and not field.omit_empty


def _may_hold_list(expression: str, above: frozenset[str]) -> bool:
    expression, (form, element, _) = types.resolve(expression)
    if scalar(expression) or form in ("basic", "bytes") or expression in above:
        return False
    if form in ("pointer", "list", "map"):
        return _may_hold_list(element, above)
    fields = [field for field, _ in types.flat_fields(expression)]
    return any(_is_required_list(one) or _may_hold_list(one.type, above | {expression}) for one in fields)


def _finder_of_elements(form: str, element: str) -> Callable[[Any], bool]:
    holds = _empty_list_finder(element)
    assert holds is not None
    if form == "list":
        return lambda values: any(holds(value) for value in values if value is not None)
    return lambda values: any(holds(value) for value in values.values() if value is not None)


@cache
def converter(expression: str, empty_lists: bool, strict: bool) -> Convert:
    """The function for values of a type; never called with null."""
    special = scalar(expression)
    if special:
        return _guarded(special.read)
    if expression == types.RESOURCE_LIST:
        return _milli_quantities(_map_converter(types.QUANTITY, empty_lists, strict))
    expression, (form, element, _) = types.resolve(expression)
    if form == "pointer":
        return converter(element, empty_lists, strict)
    if form == "bytes":
        return _base64
    if form == "list":
        return _list_converter(element, empty_lists, strict)
    if form == "map":
        return _map_converter(element, empty_lists, strict)
    if form == "basic":
        return _BASIC[expression]
    if union := _union_converter(expression, empty_lists):
        return union
    return struct_converter(expression, empty_lists, strict)


_PLANS_MAX = 64  # of one struct: objects made alike have the same keys, in the same order
_Plan = list[tuple[str, type | None, Convert, Any, Any]]  # see _field_plan


@cache
def struct_converter(id: str, empty_lists: bool, strict: bool) -> Convert:
    """The function for a struct. It goes over the fields that are there and those that appear when they are not, by a
    plan made when a value with such keys first comes along; so types may contain themselves."""
    whole: _Plan = []
    plans: dict[tuple[str, ...], _Plan] = {}

    def planned(keys: tuple[str, ...]) -> _Plan:
        if not whole:
            whole.extend(_field_plan(field, empty_lists, strict) for field, _ in types.flat_fields(id))
        known = {one[0] for one in whole}
        if not known.issuperset(keys):
            if strict:
                raise UnknownField
            return whole
        if len(plans) >= _PLANS_MAX:
            plans.clear()
        plan = plans[keys] = [one for one in whole if one[0] in keys or one[4] is not _OMIT]
        return plan

    def convert(obj: Any) -> dict[str, Any]:
        if type(obj) is not dict:
            raise Mismatch
        keys = tuple(obj)
        plan = plans.get(keys)
        out: dict[str, Any] = {}
        for name, plain, convert_value, when_empty, when_absent in planned(keys) if plan is None else plan:
            value = obj.get(name)
            if value is None:
                if when_absent is not _OMIT:
                    out[name] = when_absent() if callable(when_absent) else when_absent
                continue
            if plain is not None:
                if type(value) is not plain:
                    raise Mismatch
            else:
                value = convert_value(value)
            if value or when_empty is _KEEP:
                out[name] = value
            elif when_empty is None:
                out[name] = None
        return out

    return convert


def _field_plan(field: types.Field, empty_lists: bool, strict: bool) -> tuple[str, type | None, Convert, Any, Any]:
    """(name, exact Python type or None, converter, what an empty value becomes, what absence becomes)."""
    convert = converter(field.type, empty_lists, strict)
    expression, (form, _, _) = types.resolve(field.type)
    plain = {"string": str, "bool": bool}.get(expression)
    if form == "pointer":
        plain = {"string": str, "bool": bool}.get(types.resolve(expression[1:])[0])
        return field.json, plain, convert, _KEEP, _OMIT if field.omit_empty else None
    if form in ("list", "map", "bytes"):
        when_empty: Any = _OMIT if field.omit_empty else None
        if (form == "bytes" or empty_lists) and not field.omit_empty:
            when_empty = _KEEP
        return field.json, None, convert, when_empty, _OMIT if field.omit_empty else None
    if form == "basic" and expression != "interface {}":
        dropped = field.omit_empty
        return field.json, plain, convert, _OMIT if dropped else _KEEP, _OMIT if dropped else zero(expression, False)
    if field.omit_zero:
        return field.json, None, convert, _OMIT, _OMIT
    return field.json, None, convert, _KEEP, _zero_factory(field.type, empty_lists)


def zero(expression: str, empty_lists: bool) -> Any:
    """What Go prints for the zero value of a type."""
    made = _zero_factory(expression, empty_lists)
    return made() if callable(made) else made


def _zero_factory(expression: str, empty_lists: bool) -> Any:
    special = scalar(expression)
    if special:
        return special.zero
    expression, (form, _, _) = types.resolve(expression)
    if form == "basic":
        return {"string": "", "bool": False, "interface {}": None}.get(expression, 0)
    if form != "named":
        return None
    if expression.endswith(types.OR_BOOL_SUFFIX):
        return False
    if expression.endswith((types.OR_ARRAY_SUFFIX, types.OR_STRINGS_SUFFIX)):
        return None
    convert = struct_converter(expression, empty_lists, False)
    return lambda: convert({})


def _list_converter(element: str, empty_lists: bool, strict: bool) -> Convert:
    expression, (form, _, _) = types.resolve(element)
    zero_element = _zero_factory(element, empty_lists)
    if form == "basic" and expression in ("string", "bool"):
        plain = {"string": str, "bool": bool}[expression]

        def convert_plain(values: Any) -> list[Any]:
            if type(values) is not list:
                raise Mismatch
            for value in values:
                if type(value) is not plain:
                    break
            else:
                return values.copy()
            if any(value is not None and type(value) is not plain for value in values):
                raise Mismatch
            return [zero_element if value is None else value for value in values]

        return convert_plain
    convert_element = converter(element, empty_lists, strict)

    def convert(values: Any) -> list[Any]:
        if type(values) is not list:
            raise Mismatch
        if None in values:
            made = zero_element if callable(zero_element) else lambda: zero_element
            return [made() if value is None else convert_element(value) for value in values]
        return [convert_element(value) for value in values]

    return convert


def _map_converter(element: str, empty_lists: bool, strict: bool) -> Convert:
    expression, (form, _, _) = types.resolve(element)
    zero_element = "" if form == "bytes" else _zero_factory(element, empty_lists)
    is_text = expression == "string"
    convert_element = converter(element, empty_lists, strict)

    def convert(values: Any) -> dict[str, Any]:
        if type(values) is not dict:
            raise Mismatch
        out: dict[str, Any] = {}
        try:
            for key, value in sorted(values.items()) if len(values) > 1 else values.items():
                if value is None:
                    out[key] = zero_element() if callable(zero_element) else zero_element
                elif is_text:
                    if type(value) is not str:
                        raise Mismatch
                    out[key] = value
                else:
                    out[key] = convert_element(value)
        except TypeError:  # equal keys cannot be; values were never compared. Keys that are no text come from CBOR.
            raise Mismatch from None
        return out

    return convert


def _milli_quantities(convert_map: Convert) -> Convert:
    """Resource lists know no less than a thousandth (SetDefaults_ResourceList, on every read of every such list)."""

    def convert(values: Any) -> dict[str, str]:
        return {name: quantity.canonical_milli(amount) for name, amount in convert_map(values).items()}

    return convert


def _union_converter(id: str, empty_lists: bool) -> Convert | None:
    """JSONSchemaPropsOrBool and its relatives; what is below them is never checked for unknown fields, as in Go."""
    package = id.rpartition(".")[0]
    if id.endswith(types.OR_BOOL_SUFFIX):

        def convert_or_bool(value: Any) -> Any:
            return value if type(value) is bool else schema(value)

        result = convert_or_bool
    elif id.endswith((types.OR_ARRAY_SUFFIX, types.OR_STRINGS_SUFFIX)):
        strings = id.endswith(types.OR_STRINGS_SUFFIX)
        convert_list = converter("[]string" if strings else f"[]{package}.JSONSchemaProps", empty_lists, False)

        def convert_or_list(value: Any) -> Any:
            if type(value) is dict:
                return schema(value)
            # Go takes anything else as absent; so does it an empty list.
            return (convert_list(value) or None) if type(value) is list else None

        result = convert_or_list
    else:
        return None
    schema = struct_converter(f"{package}.JSONSchemaProps", empty_lists, False)
    return result


def _guarded(read: Convert) -> Convert:
    def convert(value: Any) -> Any:
        try:
            return read(value)
        except GoError:
            raise Mismatch from None

    return convert


def _base64(value: Any) -> str:
    """Bytes as base64 text; Go refuses what is not padded and skips line ends. A list of numbers is bytes as well."""
    if type(value) is list:
        if not all(type(one) is int and 0 <= one < 256 for one in value):
            raise Mismatch
        return binascii.b2a_base64(bytes(value), newline=False).decode()
    if type(value) is not str:
        raise Mismatch
    try:
        raw = binascii.a2b_base64(value.replace("\n", "").replace("\r", ""), strict_mode=True)
    except ValueError:
        raise Mismatch from None
    return binascii.b2a_base64(raw, newline=False).decode()


def _int32(value: Any) -> int:
    if type(value) is not int or value not in INT32:
        raise Mismatch
    return value


def _int64(value: Any) -> int:
    if type(value) is not int or value not in INT64:
        raise Mismatch
    return value


def _float64(value: Any) -> float:
    if type(value) is int:
        return value
    if not isinstance(value, float) or not math.isfinite(value):
        raise Mismatch
    return int(value) if value.is_integer() and abs(value) < 2**53 else float(value)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise Mismatch
    return value


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise Mismatch
    return value


_BASIC: dict[str, Convert] = {
    "string": _text,
    "bool": _bool,
    "int32": _int32,
    "int64": _int64,
    "float64": _float64,
    "interface {}": lambda value: value,
}

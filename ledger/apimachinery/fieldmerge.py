"""Typed values put together and taken apart: checking, merging a configuration into an object, removing fields.

Follows structured-merge-diff's typed package. Values that come out share what did not change with those that went in.
"""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.fieldset import FieldSet, element_text, is_member
from ledger.apimachinery.fieldtypes import DEDUCED, ListType, MapType, Type, TypeMismatch, list_element
from ledger.apimachinery.fieldwalk import ABSENT, LEAVES
from ledger.apimachinery.gotext import sharp_v, type_of, verb_v


def check(value: Any, made: Type, doubles: bool = False) -> None:
    """Raises TypeMismatch with every finding in `value`. `doubles`: list elements of one name are no finding."""
    errors = list(_errors(value, made, "", doubles))
    if len(errors) == 1:
        raise TypeMismatch(errors[0])
    if errors:
        raise TypeMismatch("\n".join(["errors:", *(f"  {error}" for error in errors)]))


def _errors(value: Any, made: Type, path: str, doubles: bool) -> list[str]:
    match made.kind(value):
        case "map":
            assert made.map_type
            return _map_errors(value, made.map_type, path, doubles)
        case "list":
            assert made.list_type
            return _list_errors(value, made.list_type, path, doubles)
        case _:
            expected = _scalar_error(value, made.scalar)
            return [_at(path, expected)] if expected else []


def _at(path: str, text: str) -> str:
    return f"{path}: {text}" if path else text


def _map_errors(value: Any, made: MapType, path: str, doubles: bool) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, dict):
        return [_at(path, f"expected map, got &{{{verb_v(value)}}}")]
    errors: list[str] = []
    for name, member in value.items():
        declared = made.fields.get(name) or made.element
        if declared is None:
            return [*errors, _at(f"{path}.{name}", "field not declared in schema")]
        if type(member) in _FITTING[declared.scalar]:
            continue
        errors += _errors(member, declared, f"{path}.{name}", doubles)
    return errors


# What a scalar mostly is; "": the type is none.
_FITTING: dict[str, frozenset[type]] = {
    "": frozenset(),
    "string": frozenset({str}),
    "numeric": frozenset({int, float}),
    "boolean": frozenset({bool}),
    "untyped": frozenset({str, int, bool}),
}


def _list_errors(value: Any, made: ListType, path: str, doubles: bool) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        return [_at(path, f"expected list, got &{{{verb_v(value)}}}")]
    errors: list[str] = []
    seen: set[str] = set()
    for index, item in enumerate(value):
        element = f"i:{index}"
        if made.associative:
            try:
                element = list_element(made, item)
            except TypeMismatch as error:
                return [*errors, _at(path, f"element {index}: {error}")]
            if element in seen and not doubles:
                errors.append(_at(path, f"duplicate entries for key {element_text(element)}"))
            seen.add(element)
        errors += _errors(item, made.element, f"{path}{element_text(element)}", doubles)
    return errors


def _scalar_error(value: Any, scalar: str) -> str:
    if value is None:
        return ""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match scalar:
        case "numeric" if not number:
            return f"expected numeric (int or float), got {type_of(value)}"
        case "string" if not isinstance(value, str):
            return f"expected string, got &value.valueUnstructured{{Value:{sharp_v(value)}}}"
        case "boolean" if not isinstance(value, bool):
            return f"expected boolean, got &{{{verb_v(value)}}}"
        case "untyped" if isinstance(value, (dict, list)):
            return f"expected any scalar, got &{{{verb_v(value)}}}"
    return ""


def merge(live: Any, config: Any, made: Type) -> Any:
    """`live` with everything that `config` says; either may be ABSENT. ABSENT when nothing is left to say.

    Lists of named elements keep the live order where `config` does not contradict it.
    """
    if config is ABSENT:
        return live
    kind = made.kind(config)
    if kind == "map":
        assert made.map_type
        mine, theirs = live if isinstance(live, dict) else None, config if isinstance(config, dict) else None
        if made.map_type.atomic or not (mine or theirs):
            return config
        return _merge_maps(mine or {}, theirs or {}, made.map_type)
    if kind == "list":
        assert made.list_type
        own, given = live if isinstance(live, list) else None, config if isinstance(config, list) else None
        if not made.list_type.associative or not (own or given):
            return config
        return _merge_lists(own or [], given or [], made.list_type)
    return config


def _merge_maps(live: dict[str, Any], config: dict[str, Any], made: MapType) -> dict[str, Any]:
    merged = dict(live)
    for name, member in config.items():
        declared = made.fields.get(name) or made.element or DEDUCED
        leaf = declared.scalar and type(member) in LEAVES
        merged[name] = member if leaf else merge(live.get(name, ABSENT), member, declared)
    return merged


def _merge_lists(live: list[Any], config: list[Any], made: ListType) -> Any:
    """Elements of both in an order that agrees with each list; where the two disagree, with `config`."""
    left, right = [list_element(made, item) for item in live], [list_element(made, item) for item in config]
    ours: dict[str, Any] = {}
    for element, item in zip(left, live, strict=True):
        # Live doubles are not merged with the one that replaces them.
        ours[element] = None if element in ours else item
    theirs = dict(zip(right, config, strict=True))
    shared = [element for element in right if element in ours]
    done: set[str] = set()
    merged: list[Any] = []

    def take(element: str) -> None:
        done.add(element)
        merged.append(merge(ours.get(element, ABSENT), theirs[element], made.element))
        if shared and shared[0] == element:
            del shared[0]

    at_left = at_right = 0
    while at_left < len(left) or at_right < len(right):
        if at_left < len(left):
            element = left[at_left]
            if element not in theirs:
                merged.append(live[at_left])
                at_left += 1
                continue
            if at_right < len(right):
                if element == right[at_right]:
                    take(element)
                    at_left += 1
                    at_right += 1
                    continue
                if shared and shared[0] != element:
                    at_left += 1  # shared, but its turn is elsewhere
                    continue
            if element in done:
                at_left += 1
        if at_right < len(right):
            take(right[at_right])
            at_right += 1
    return merged


def remove(value: Any, fields: FieldSet, made: Type) -> Any:
    """`value` without the members of `fields`. A map or list of which nothing is left becomes null."""
    if not fields:
        return value
    match made.kind(value):
        case "map" if isinstance(value, dict):
            assert made.map_type
            return None if made.map_type.atomic else _remove_from_map(value, fields, made.map_type) or None
        case "list" if isinstance(value, list):
            assert made.list_type
            return _remove_from_list(value, fields, made.list_type) or None if made.list_type.associative else None
        case "scalar":
            return value
    return None


def _remove_from_map(value: dict[str, Any], fields: FieldSet, made: MapType) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, member in value.items():
        below = fields.get(f"f:{name}")
        if below is None:
            kept[name] = member
        elif not is_member(below):
            kept[name] = remove(member, below, made.fields.get(name) or made.element or DEDUCED)
    return kept


def _remove_from_list(value: list[Any], fields: FieldSet, made: ListType) -> list[Any]:
    kept: list[Any] = []
    for item in value:
        below = fields.get(list_element(made, item))
        if below is None:
            kept.append(item)
        elif not is_member(below):
            kept.append(remove(item, below, made.element))
    return kept

"""Sets of field paths, in the form managedFields keeps them (FieldsV1 of sigs.k8s.io/structured-merge-diff).

    {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}}     holds .metadata.labels and .metadata.labels.app

A key is one path element: `f:` a field, `k:` a list element by its key fields, `v:` a set's element by its value, `i:` an index.
A path is a member when its dict is empty or has "."; a dict without "." stands only for what is below it. The stored form is
the working form: sets of equal meaning may differ in nothing but order (`canonical` settles it), no dict of a set is ever
changed once it is built, and operations share what they do not change.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ledger.apimachinery.field import quoted
from ledger.apimachinery.gotext import float_text
from ledger.apimachinery.remember import remembered

FieldSet = dict[str, Any]  # element -> FieldSet; see above
Path = tuple[str, ...]  # elements, outermost first
Filter = Callable[[FieldSet], FieldSet]  # keeps a part of a set

MEMBER: FieldSet = {}  # the set below a path that is a member and has nothing below it
_MARK = "."


class FieldSetError(ValueError):
    """A FieldsV1 that cannot be read."""


def is_member(below: FieldSet) -> bool:
    """Whether the path that has `below` under it belongs to the set itself."""
    return not below or _MARK in below


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    if not right or left is right:
        return left
    if not left:
        return right
    joined = dict(left)
    for element, below in right.items():
        known = joined.get(element)
        joined[element] = below if known is None else _union_below(known, below)
    return joined


def _union_below(left: FieldSet, right: FieldSet) -> FieldSet:
    if left is right:
        return left
    if not left or not right:
        rest = left or right
        return rest if is_member(rest) else {_MARK: MEMBER, **rest}
    return union(left, right)


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Members of `left` that are not members of `right`. What is below a member of `right` stays."""
    if not left or not right:
        return left
    return _difference(_children(left), right) or {}


def _difference(left: FieldSet, right: FieldSet) -> FieldSet | None:
    """What is left below a path under which both have something; None: nothing, not even the path."""
    result: FieldSet = {}
    for element, below in left.items():
        theirs = right.get(element)
        if theirs is None:
            result[element] = below
        elif not below:
            if not is_member(theirs):
                result[element] = MEMBER
        elif not theirs:
            if children := _children(below):
                result[element] = children
        elif below is not theirs:  # of the same set nothing is left
            deeper = _difference(below, theirs)
            if deeper is not None:
                result[element] = deeper
    return _unmarked(result) if result else None


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    if not left or not right:
        return {}
    return _intersection(_children(left), right) or {}


def _intersection(left: FieldSet, right: FieldSet) -> FieldSet | None:
    """What both have below a path under which both have something; None: nothing, not even the path."""
    result: FieldSet = {}
    for element, below in left.items():
        theirs = right.get(element)
        if theirs is None:
            continue
        if below and theirs:
            deeper = _intersection(below, theirs)
            if deeper is not None:
                result[element] = deeper
        elif is_member(below) and is_member(theirs):
            result[element] = MEMBER
    return _unmarked(result) if result else None


def _unmarked(below: FieldSet) -> FieldSet:
    """The one form of a member that has nothing below it."""
    return MEMBER if len(below) == 1 and _MARK in below else below


def recursive_difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """`left` without the members of `right` and everything below them."""
    if not left or not right:
        return left
    result: FieldSet = {}
    for element, below in left.items():
        theirs = None if element == _MARK else right.get(element)
        if theirs is None:
            result[element] = below
        elif not is_member(theirs):
            _put(result, element, is_member(below), recursive_difference(_children(below), theirs))
    return result


def _put(result: FieldSet, element: str, member: bool, below: FieldSet) -> None:
    if member:
        result[element] = {_MARK: MEMBER, **below} if below else MEMBER
    elif below:
        result[element] = below


def _children(below: FieldSet) -> FieldSet:
    return {element: deeper for element, deeper in below.items() if element != _MARK} if _MARK in below else below


def has(fields: FieldSet, path: Path) -> bool:
    """Whether `path` is a member."""
    for element in path:
        found = fields.get(element)
        if found is None:
            return False
        fields = found
    return bool(path) and is_member(fields)


def of_paths(paths: Iterable[Path]) -> FieldSet:
    fields: FieldSet = {}
    for path in paths:
        below = MEMBER
        for element in reversed(path):
            below = {element: below}
        fields = union(fields, below)
    return fields


def paths(fields: FieldSet, prefix: Path = ()) -> Iterator[Path]:
    """The members in canonical order, those of one level before those below them."""
    elements = [element for element in sorted(fields, key=sort_key) if element != _MARK]
    for element in elements:
        if is_member(fields[element]):
            yield (*prefix, element)
    for element in elements:
        yield from paths(fields[element], (*prefix, element))


def excluding(fields: FieldSet) -> Filter:
    """A filter that drops these fields and all below them: what a strategy resets."""
    return lambda given: recursive_difference(given, fields)


def including(*patterns: Path) -> Filter:
    """A filter that keeps only what is below one of the patterns; the element "*" stands for any one element."""
    return lambda given: functools.reduce(union, (_below(given, pattern) for pattern in patterns), {})


def _below(given: FieldSet, pattern: Path) -> FieldSet:
    if not pattern:
        return given
    kept: FieldSet = {}
    for element, below in given.items():
        if element == _MARK or pattern[0] not in ("*", element):
            continue
        if len(pattern) == 1:
            kept[element] = below
        else:
            # An ancestor that is a member stays one, as upstream's matcher has it.
            _put(kept, element, is_member(below), _below(_children(below), pattern[1:]))
    return kept


def field(name: str) -> str:
    return f"f:{name}"


def key(fields: Mapping[str, Any]) -> str:
    """The element of a list by its key fields."""
    return f"k:{{{','.join(f'{_text(name)}:{scalar(fields[name])}' for name in sorted(fields))}}}"


def value(item: Any) -> str:
    """The element of a set by its value."""
    return f"v:{scalar(item)}"


def field_path(dotted: str) -> Path:
    """The path of fields that "spec.replicas" names."""
    return tuple(field(name) for name in dotted.strip(".").split("."))


_PLAIN = re.compile(r'[^"\\<>&\x00-\x1f\u2028\u2029]*').fullmatch
_ESCAPED = re.compile("[<>&\u2028\u2029]")


def scalar(item: Any) -> str:
    """A value as the element's JSON has it: compact, characters that HTML minds escaped."""
    if isinstance(item, str):
        if _PLAIN(item):
            return f'"{item}"'
        return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", _text(item))
    if isinstance(item, float):
        return float_text(item)
    return json.dumps(item, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _text(item: str) -> str:
    return json.dumps(item, ensure_ascii=False)


def path_text(path: Path) -> str:
    """A path as messages show it: .spec.containers[name="web"].ports[containerPort=80,protocol="TCP"].args[="x"]"""
    return "".join(map(element_text, path))


def element_text(element: str) -> str:
    kind, content = element[:2], element[2:]
    if kind == "f:":
        return f".{content}"
    if kind == "k:":
        fields = json.loads(content)
        return f"[{','.join(f'{name}={_shown(fields[name])}' for name in sorted(fields))}]"
    return f"[={_shown(json.loads(content))}]" if kind == "v:" else f"[{content}]"


def _shown(item: Any) -> str:
    if isinstance(item, str):
        return quoted(item)
    return float_text(item) if isinstance(item, float) else json.dumps(item)


def parse(fields_v1: Any) -> FieldSet:
    """The set a FieldsV1 says, in canonical elements. Elements of unknown kinds are dropped. Raises FieldSetError."""
    if fields_v1 is None:
        return {}
    if not isinstance(fields_v1, dict):
        raise FieldSetError("fieldsV1 is no object")
    fields: FieldSet = {}
    for element, below in fields_v1.items():
        if element == _MARK:
            fields[_MARK] = MEMBER
            continue
        known = element if element[:2] == "f:" else _parsed_element(element)
        if known:
            fields[known] = parse(below) if below else MEMBER
    return fields


@remembered(4096)
def _parsed_element(element: str) -> str:
    """The element in its one spelling; "" for a kind this version does not know."""
    if len(element) < 2:
        raise FieldSetError(f"parsing key as path element: key must be 2 characters long: {element}")
    kind, content = element[:2], element[2:]
    if kind[1] != ":":
        raise FieldSetError(f"parsing key as path element: missing colon: {element}")
    try:
        if kind == "k:":
            return key(dict(json.loads(content).items()))
        if kind == "v:":
            return value(json.loads(content))
        return f"i:{int(content)}" if kind == "i:" else ""
    except (ValueError, TypeError, AttributeError) as error:
        raise FieldSetError(f"parsing key as path element: {error}") from None


def canonical(fields: FieldSet) -> FieldSet:
    """The same set in the order upstream writes it: ".", fields, keys, values, indexes, each in its own order."""
    if len(fields) == 1:
        ((element, below),) = fields.items()
        return {element: canonical(below) if below else MEMBER}
    elements = sorted(fields)
    if elements and elements[-1][:2] != "f:":  # else there are but "." and fields, which the alphabet sorts
        elements.sort(key=sort_key)
    return {element: canonical(below) if (below := fields[element]) else MEMBER for element in elements}


def sort_key(element: str) -> tuple[int, Any]:
    if element[:2] == "f:":
        return 1, element
    return _other_sort_key(element)


@remembered(4096)
def _other_sort_key(element: str) -> tuple[int, Any]:
    kind, content = element[:2], element[2:]
    if kind == "k:":
        return 2, tuple((name, _value_key(item)) for name, item in sorted(json.loads(content).items()))
    if kind == "v:":
        return 3, _value_key(json.loads(content))
    return (0, "") if element == _MARK else (4, int(content))


def _value_key(item: Any) -> tuple[int, Any]:
    """Numbers before texts before booleans before lists before maps before null."""
    match item:
        case bool():
            return 2, item
        case int() | float():
            return 0, item
        case str():
            return 1, item
        case list():
            return 3, tuple(map(_value_key, item))
        case dict():
            return 4, tuple((name, _value_key(one)) for name, one in sorted(item.items()))
        case _:
            return 5, 0

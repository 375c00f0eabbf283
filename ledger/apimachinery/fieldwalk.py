"""Walks over typed values: which fields a value has, and which differ between two (structured-merge-diff's typed package).

A walk returns the set below the current path, or None for nothing; so no path is built on the way down.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ledger.apimachinery.fieldset import MEMBER, FieldSet, Filter, is_member, union
from ledger.apimachinery.fieldtypes import DEDUCED, ListType, MapType, Type, list_element

Below = FieldSet | None  # what a set has under one path; None: not even the path


class _Absent:
    """No value, which is not null."""


ABSENT: Final = _Absent()
_MARKED: FieldSet = {".": MEMBER}
LEAVES = frozenset({str, int, bool})  # most values that have nothing below them


def field_set(value: Any, made: Type) -> FieldSet:
    """Every leaf and every list element of a value: what an applied configuration claims."""
    return _fields_below(value, made) or {}


def _fields_below(value: Any, made: Type) -> Below:
    match made.kind(value):
        case "map":
            assert made.map_type
            return MEMBER if made.map_type.atomic else _map_fields(value, made.map_type)
        case "list":
            assert made.list_type
            return _list_fields(value, made.list_type) if made.list_type.associative else MEMBER
        case _:
            return MEMBER


def _map_fields(value: Any, made: MapType) -> Below:
    if not isinstance(value, dict):
        return None
    fields: FieldSet = {}
    for name, member in value.items():
        declared = made.fields.get(name)
        if type(member) in LEAVES and (declared or made.element or DEDUCED).scalar:
            fields[f"f:{name}"] = MEMBER
            continue
        below = _fields_below(member, declared or made.element or DEDUCED)
        if declared is None or member is None or member == {}:
            below = _as_member(below)
        if below is not None:
            fields[f"f:{name}"] = below
    return fields or None


def _list_fields(value: Any, made: ListType) -> Below:
    if not isinstance(value, list):
        return None
    fields: FieldSet = {}
    doubles: set[str] = set()
    for item in value:
        element = list_element(made, item)
        if element in fields:
            doubles.add(element)
            fields[element] = MEMBER
        if element not in doubles:
            fields[element] = _as_member(_fields_below(item, made.element))
    return fields or None


def _as_member(below: Below) -> FieldSet:
    if not below:
        return MEMBER
    return below if is_member(below) else {**_MARKED, **below}


class Comparison(NamedTuple):
    """Which fields the second of two values lost, changed and gained. No field is in two of the sets."""

    removed: FieldSet
    modified: FieldSet
    added: FieldSet

    def filtered(self, keep: Filter | None) -> Comparison:
        if keep is None or not (self.removed or self.modified or self.added):
            return self
        return Comparison(keep(self.removed), keep(self.modified), keep(self.added))

    @property
    def same(self) -> bool:
        return not (self.removed or self.modified or self.added)


_Difference = tuple[Below, Below, Below]  # removed, modified, added
_SAME: _Difference = (None, None, None)
_REMOVED: _Difference = (MEMBER, None, None)
_MODIFIED: _Difference = (None, MEMBER, None)
_ADDED: _Difference = (None, None, MEMBER)


def compare(old: Any, new: Any, made: Type) -> Comparison:
    """What changed from `old` to `new`, by the paths of `made`. Raises TypeMismatch for a list element without a name.

    Numbers are equal by value (1 is 1.0, as upstream has it). So are true and 1, which only a value without a schema can
    turn into one another: comparing equal parts at the speed of `==` is worth more.
    """
    removed, modified, added = _compare(old, new, made)
    return Comparison(removed or {}, modified or {}, added or {})


def _compare(old: Any, new: Any, made: Type) -> _Difference:
    if new is ABSENT:
        return _compare_as(made.kind(old), old, new, made)
    if old is ABSENT:
        return None, None, _gained(new, made)
    return _SAME if old == new else _compare_unequal(old, new, made)


def _compare_unequal(old: Any, new: Any, made: Type) -> _Difference:
    if type(old) in LEAVES and type(new) in LEAVES:
        return _MODIFIED
    kind, was = made.kind(new), made.kind(old)
    if was == kind:
        return _compare_as(kind, old, new, made)
    # What it was is gone and what it is has come; both count.
    return _joined(_compare_as(was, old, new, made), _compare_as(kind, old, new, made))


def _gained(value: Any, made: Type) -> FieldSet:
    """All of a value that was not there before. Shorter than comparing it with nothing, and most of what a create does."""
    below: FieldSet = {}
    if isinstance(value, dict):
        whole = made.map_type
        if whole is not None and not whole.atomic:
            fields, other = whole.fields, whole.element or DEDUCED
            below = {
                f"f:{name}": MEMBER if type(member) in LEAVES else _gained(member, fields.get(name, other))
                for name, member in value.items()
            }
    elif isinstance(value, list):
        listed = made.list_type
        if listed is not None and listed.associative:
            for element, items in _by_element(value, listed).items():
                below[element] = _gained(items[0], listed.element) if len(items) == 1 else MEMBER
    return {**_MARKED, **below} if below else MEMBER


def _compare_as(kind: str, old: Any, new: Any, made: Type) -> _Difference:
    if kind == "map":
        assert made.map_type
        before, after = old if isinstance(old, dict) else None, new if isinstance(new, dict) else None
        if made.map_type.atomic or not (before or after):
            return _leaf(old, new)
        difference = _compare_maps(before or {}, after or {}, made.map_type)
    elif kind == "list":
        assert made.list_type
        first, second = old if isinstance(old, list) else None, new if isinstance(new, list) else None
        if not made.list_type.associative or not (first or second):
            return _leaf(old, new)
        difference = _compare_lists(first or [], second or [], made.list_type)
    else:
        return _leaf(old, new)
    removed, modified, added = difference
    if old is ABSENT:
        return removed, modified, _as_member(added)
    return (_as_member(removed), modified, added) if new is ABSENT else difference


def _leaf(old: Any, new: Any) -> _Difference:
    if old is ABSENT:
        return _ADDED
    if new is ABSENT:
        return _REMOVED
    return _SAME if old == new else _MODIFIED


def _compare_maps(old: dict[str, Any], new: dict[str, Any], made: MapType) -> _Difference:
    removed: FieldSet = {}
    modified: FieldSet = {}
    added: FieldSet = {}
    fields, other = made.fields, made.element or DEDUCED
    for name, member in new.items():
        before = old.get(name, ABSENT)
        if before is ABSENT:
            added[f"f:{name}"] = MEMBER if type(member) in LEAVES else _gained(member, fields.get(name, other))
        elif before is not member and before != member:
            below = _compare_unequal(before, member, fields.get(name, other))
            _put(f"f:{name}", below, removed, modified, added)
    if not new.keys() >= old.keys():
        for name, member in old.items():
            if name in new:
                continue
            if type(member) in LEAVES:
                removed[f"f:{name}"] = MEMBER
            else:
                _put(f"f:{name}", _compare(member, ABSENT, fields.get(name, other)), removed, modified, added)
    return removed or None, modified or None, added or None


def _compare_lists(old: list[Any], new: list[Any], made: ListType) -> _Difference:
    removed: FieldSet = {}
    modified: FieldSet = {}
    added: FieldSet = {}
    before, after = _by_element(old, made), _by_element(new, made)
    for element in before | after:
        olds, news = before.get(element, ()), after.get(element, ())
        if len(olds) <= 1 and len(news) <= 1:
            below = _compare(olds[0] if olds else ABSENT, news[0] if news else ABSENT, made.element)
        else:
            below = _compare_doubles(olds, news, made.element)
        _put(element, below, removed, modified, added)
    return removed or None, modified or None, added or None


def _put(element: str, below: _Difference, removed: FieldSet, modified: FieldSet, added: FieldSet) -> None:
    """Adds the differences below one element to those found so far."""
    gone, changed, come = below
    if gone is not None:
        removed[element] = gone
    if changed is not None:
        modified[element] = changed
    if come is not None:
        added[element] = come


def _compare_doubles(olds: Any, news: Any, made: Type) -> _Difference:
    """Elements of one name are owned together, as one piece."""
    if len(olds) >= 2 and len(news) >= 2:
        return _SAME if olds == news else _MODIFIED
    if len(olds) >= 2:
        _, _, added = _compare(ABSENT, news[0], made) if news else _SAME
        return MEMBER, None, added
    removed, _, _ = _compare(olds[0], ABSENT, made) if olds else _SAME
    return removed, None, MEMBER


def _by_element(items: list[Any], made: ListType) -> dict[str, list[Any]]:
    named: dict[str, list[Any]] = {}
    for item in items:
        named.setdefault(list_element(made, item), []).append(item)
    return named


def _joined(left: _Difference, right: _Difference) -> _Difference:
    def both(one: Below, other: Below) -> Below:
        if one is None or other is None:
            return one if other is None else other
        return union({"": one}, {"": other})[""]  # as sets below the same path

    return both(left[0], right[0]), both(left[1], right[1]), both(left[2], right[2])


def with_named_fields(fields: FieldSet, made: Type | None) -> FieldSet:
    """`fields` with every declared field on the way to a member made a member too.

    A struct field that only this set holds goes as a whole when the set's members are removed.
    """
    ensured: FieldSet = {}
    for element, below in fields.items():
        if element == ".":
            ensured[element] = below
            continue
        declared, inner = _descend(made, element)
        deeper = with_named_fields(below, inner) if below else below
        ensured[element] = _as_member(deeper) if declared else deeper
    return ensured


def _descend(made: Type | None, element: str) -> tuple[bool, Type | None]:
    """(is it a declared field, the type below it)."""
    if made is None:
        return False, None
    if made.map_type and element[:2] == "f:":
        declared = made.map_type.fields.get(element[2:])
        return declared is not None, declared or made.map_type.element
    return False, made.list_type.element if made.list_type and element[:2] == "k:" else None


def reconciled(fields: FieldSet, made: Type) -> FieldSet:
    """`fields` after the schema changed: what became one piece is owned as one piece. The same dict if nothing changed."""
    return _reconciled(fields, made, atomic_owner=False)


def _reconciled(below: FieldSet, made: Type, atomic_owner: bool) -> FieldSet:
    """`atomic_owner`: the path is a member with nothing below, so it is owned as one piece already."""
    whole = made.map_type
    if whole is not None:
        if whole.element is DEDUCED and not whole.fields:
            return below
        if whole.atomic and not atomic_owner:
            return MEMBER if below else below
    elif made.scalar:
        return below
    elif made.list_type and not made.list_type.associative and not atomic_owner:
        return MEMBER
    changed: FieldSet | None = None
    for element, deeper in below.items():
        inner = None if element == "." else _element_type(made, element)
        if inner is None:
            continue
        fixed = _reconciled(deeper, inner, atomic_owner=not deeper)
        if fixed is not deeper:
            changed = changed if changed is not None else dict(below)
            changed[element] = fixed
    return below if changed is None else changed


def _element_type(made: Type, element: str) -> Type | None:
    if made.map_type is not None:
        name = element[2:] if element[:2] == "f:" else ""
        return made.map_type.fields.get(name) or made.map_type.element
    return made.list_type.element if made.list_type else None

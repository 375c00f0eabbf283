"""The rules Kubernetes declares on its types: data/declarative.json, applied as k8s.io/apimachinery/pkg/api/validate does.

They come after the hand-written rules, in the API version of the request. On update, what did not change is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ledger.apimachinery.field import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.validation.formats import FORMATS

Rule = dict[str, Any]

# Features that rules ask for; the others are off.
_ENABLED = frozenset({"HPAScaleToZero"})
_ZERO = (None, "", 0, False)


@dataclass(frozen=True, slots=True)
class _Field:
    """One value under validation, beside what it was."""

    path: str
    new: Any
    old: Any  # None: was not there
    update: bool


def validate_declared(api_version: str, kind: str, obj: Any, old: Any = None) -> list[FieldError]:
    """Findings of the declared rules; `old` makes it an update. Kinds without such rules have none."""
    name = declared_type(api_version, kind)
    return validate_declared_type(name, obj, old) if name else []


def declared_type(api_version: str, kind: str) -> str:
    """The name of a kind's type among those with declared rules; "" when it has none."""
    return _rules()["kinds"].get(f"{api_version}/{kind}", "")


def validate_declared_type(name: str, obj: Any, old: Any = None) -> list[FieldError]:
    return _validate_type(name, _Field("", obj, old, old is not None))


@cache
def _rules() -> dict[str, Any]:
    return json.loads(resources.files("ledger.scheme").joinpath("data/declarative.json").read_bytes())


def _validate_type(name: str, at: _Field) -> list[FieldError]:
    declared = _rules()["types"][name]
    errors = _validate_rules(declared["rules"], at)
    for key, rules in declared["fields"]:
        if not key:  # an embedded struct: its fields are ours
            errors += _validate_rules(rules, at)
            continue
        child = _child(at, key)
        correlated = at.update and at.old is not None
        if not (correlated and same(child.new, child.old)):
            errors += _validate_rules(rules, child)
    return errors


def _child(at: _Field, key: str) -> _Field:
    path = f"{at.path}.{key}" if at.path else key
    new = at.new.get(key) if isinstance(at.new, dict) else None
    old = at.old.get(key) if isinstance(at.old, dict) else None
    return _Field(path, new, old, at.update)


def _validate_rules(rules: list[Rule], at: _Field) -> list[FieldError]:
    """Rules that end the checks of a field stand first and all run; then, unless one found something, the others."""
    errors: list[FieldError] = []
    ended = False
    for rule in rules:
        ends = rule.get("silent") or rule.get("stops")
        if ended and not ends:
            break
        found = _apply(rule, at)
        if found and ends:
            ended = True
        if not rule.get("silent") and not rule.get("shadow"):
            errors += found
    return errors


def _apply(rule: Rule, at: _Field) -> list[FieldError]:
    name = rule["is"]
    if "." in name:
        return [] if at.new is None else _validate_type(name, at)
    if name in FORMATS:
        return [] if at.new is None else FORMATS[name](at.new, at.path)
    return _CHECKS[name](rule, at)


def _required(rule: Rule, at: _Field) -> list[FieldError]:
    return [] if _is_set(rule, at.new) else [required(at.path)]


def _forbidden(rule: Rule, at: _Field) -> list[FieldError]:
    return [forbidden(at.path, "")] if _is_set(rule, at.new) else []


def _is_set(rule: Rule, value: Any) -> bool:
    """Pointers are set when they are there, everything else when it is not zero."""
    if rule["is"].endswith("Pointer"):
        return value is not None
    return bool(value) if isinstance(value, (dict, list)) else value not in _ZERO


def _immutable(rule: Rule, at: _Field) -> list[FieldError]:
    return [invalid(at.path, None, "field is immutable")] if at.update else []


def _minimum(rule: Rule, at: _Field) -> list[FieldError]:
    limit = rule["limit"]
    value = at.new or 0
    return [invalid(at.path, value, f"must be greater than or equal to {limit}")] if value < limit else []


def _maximum(rule: Rule, at: _Field) -> list[FieldError]:
    limit = rule["limit"]
    return [invalid(at.path, at.new, f"must be less than or equal to {limit}")] if (at.new or 0) > limit else []


def _max_items(rule: Rule, at: _Field) -> list[FieldError]:
    count = len(at.new or ())
    return [too_many(at.path, count, rule["limit"])] if count > rule["limit"] else []


def _max_bytes(rule: Rule, at: _Field) -> list[FieldError]:
    return [too_long(at.path, rule["limit"])] if len((at.new or "").encode()) > rule["limit"] else []


def _max_length(rule: Rule, at: _Field) -> list[FieldError]:
    if len(at.new or "") <= rule["limit"]:
        return []
    return [FieldError("TooLong", at.path, detail=f"may not be more than {rule['limit']} characters")]


def _enum(rule: Rule, at: _Field) -> list[FieldError]:
    value = at.new if at.new is not None else ""
    return [] if value in rule["values"] else [not_supported(at.path, value, rule["values"])]


def _unique(rule: Rule, at: _Field) -> list[FieldError]:
    seen, errors = [], []
    for index, item in enumerate(at.new or ()):
        identity = _identity(rule, item)
        if identity in seen:
            errors.append(duplicate(f"{at.path}[{index}]", item))
        else:
            seen.append(identity)
    return errors


def _identity(rule: Rule, item: Any) -> Any:
    keys = rule["keys"]
    return [item.get(key) or None for key in keys] if keys else item


def _each_item(rule: Rule, at: _Field) -> list[FieldError]:
    errors = []
    for index, item in enumerate(at.new or ()):
        old = None
        if "keys" in rule:
            identity = _identity(rule, item)
            old = next((one for one in at.old or () if _identity(rule, one) == identity), None)
        if at.update and old is not None and (not rule["ratchets"] or same(item, old)):
            continue
        errors += _validate_rules(rule["each"], _Field(f"{at.path}[{index}]", item, old, at.update))
    return errors


def _each_value(rule: Rule, at: _Field) -> list[FieldError]:
    errors = []
    for key, value in sorted((at.new or {}).items()):
        old = (at.old or {}).get(key)
        if not (at.update and old is not None and same(value, old)):
            errors += _validate_rules(rule["each"], _Field(f"{at.path}[{key}]", value, old, at.update))
    return errors


def _each_key(rule: Rule, at: _Field) -> list[FieldError]:
    errors = []
    for key in sorted(at.new or ()):
        if not (at.update and key in (at.old or ())):
            errors += _validate_rules(rule["each"], _Field(at.path, key, None, at.update))
    return errors


def _subfield(rule: Rule, at: _Field) -> list[FieldError]:
    child = _child(at, rule["field"])
    if at.update and at.old is not None and same(child.new, child.old):
        return []
    return _found(rule["each"], child)


def _found(rules: list[Rule], at: _Field) -> list[FieldError]:
    """Every finding, silent ones too: the rule around decides what becomes of them."""
    return [error for rule in rules for error in _apply(rule, at)]


def _group(rule: Rule, at: _Field) -> list[FieldError]:
    return _validate_rules(rule["rules"], at)


def _if_option(rule: Rule, at: _Field) -> list[FieldError]:
    return _found(rule["each"], at) if (rule["option"] in _ENABLED) == rule["when"] else []


def _update(rule: Rule, at: _Field) -> list[FieldError]:
    if not at.update:
        return []
    new, old = _is_set(rule, at.new), _is_set(rule, at.old)
    errors = []
    for constraint in rule["constraints"]:
        if constraint == "NoSet" and new and not old:
            errors.append(invalid(at.path, None, "field cannot be set once created"))
        elif constraint == "NoUnset" and old and not new:
            errors.append(invalid(at.path, None, "field cannot be cleared once set"))
        elif constraint == "NoModify" and old and new:
            errors.append(invalid(at.path, None, "field cannot be modified once set"))
    return errors


def _update_items(rule: Rule, at: _Field) -> list[FieldError]:
    errors = _update(rule, at)
    if not at.update:
        return errors
    if "NoAddItem" in rule["constraints"]:
        before = [_identity(rule, one) for one in at.old or ()]
        for index, item in enumerate(at.new or ()):
            if _identity(rule, item) not in before:
                errors.append(forbidden(f"{at.path}[{index}]", "item may not be added"))
    if "NoRemoveItem" in rule["constraints"]:
        after = [_identity(rule, one) for one in at.new or ()]
        removed = [one for one in at.old or () if _identity(rule, one) not in after]
        errors += [forbidden(at.path, "item may not be removed") for _ in removed]
    return errors


def _union(rule: Rule, at: _Field) -> list[FieldError]:
    """Exactly one of the members, or at most one (ZeroOrOneOfUnion)."""

    def members_of(value: Any) -> list[str]:
        if "items" in rule:
            kinds = [one.get(rule["key"]) for one in value or ()]
            return [member for member, kind in zip(rule["members"], rule["items"], strict=True) if kind in kinds]
        return [member for member in rule["members"] if (value or {}).get(member) not in (None, [])]

    chosen = members_of(at.new)
    if at.update and at.old and chosen == members_of(at.old):
        return []
    names = ", ".join(f"`{member}`" for member in rule["members"])
    if len(chosen) > 1:
        how_many = "exactly" if rule["is"] == "Union" else "at most"
        return [invalid(at.path, f"{{{', '.join(chosen)}}}", f"must specify {how_many} one of: {names}")]
    if not chosen and rule["is"] == "Union":
        return [invalid(at.path, "", f"must specify one of: {names}")]
    return []


def _discriminated(rule: Rule, at: _Field) -> list[FieldError]:
    child = _child(at, rule["field"])
    by, old_by = (at.new or {}).get(rule["by"]), (at.old or {}).get(rule["by"])
    if at.update and at.old is not None and by == old_by and same(child.new, child.old):
        return []
    return _validate_rules(rule["cases"].get(by or "", rule["otherwise"]), child)


def _dependent(rule: Rule, at: _Field) -> list[FieldError]:
    """When the first of two fields is set, the second must be (or must not be)."""
    trigger, other = rule["names"]
    value = at.new or {}
    if value.get(trigger) is None:
        return []
    needed = rule["is"] == "DependentRequired"
    if (value.get(other) is None) != needed:
        return []
    path = _child(at, other).path
    if needed:
        return [required(path, f"must be set when {trigger} is set")]
    return [forbidden(path, f"may not be set when {trigger} is set")]


def _custom(rule: Rule, at: _Field) -> list[FieldError]:
    """Rules upstream writes by hand for fields of features that are off."""
    return []


_CHECKS: dict[str, Callable[[Rule, _Field], list[FieldError]]] = {
    **dict.fromkeys(("RequiredValue", "RequiredPointer", "RequiredSlice", "RequiredMap"), _required),
    **dict.fromkeys(("OptionalValue", "OptionalPointer", "OptionalSlice", "OptionalMap"), _required),
    **dict.fromkeys(("ForbiddenValue", "ForbiddenPointer", "ForbiddenSlice", "ForbiddenMap"), _forbidden),
    **dict.fromkeys(("UpdatePointer", "UpdateValueByCompare", "UpdateStruct"), _update),
    **dict.fromkeys(("Union", "ZeroOrOneOfUnion"), _union),
    **dict.fromkeys(("DependentRequired", "DependentForbidden"), _dependent),
    "Immutable": _immutable,
    "Minimum": _minimum,
    "Maximum": _maximum,
    "MaxItems": _max_items,
    "MaxBytes": _max_bytes,
    "MaxLength": _max_length,
    "Enum": _enum,
    "ValSliceUnique": _unique,
    "ValSliceUpdate": _update_items,
    "EachValSliceVal": _each_item,
    "EachMapVal": _each_value,
    "EachMapKey": _each_key,
    "Subfield": _subfield,
    "Group": _group,
    "IfOption": _if_option,
    "Discriminated": _discriminated,
    "ValidateCustom_EvictionResponder_Name": _custom,
    "ValidateCustom_EvictionResponder_Priority": _custom,
}

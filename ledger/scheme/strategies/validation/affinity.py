"""Where pods may run: node selectors, affinity, tolerations, topology spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ledger.apimachinery.names import is_dns1123_label, is_dns1123_subdomain, is_label_value, is_qualified_name
from ledger.scheme.strategies.validation.common import label_selector
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT = "must be in the range 1-100"


def affinity(found: Findings, path: str, value: Mapping[str, Any] | None, old: Mapping[str, Any] | None) -> None:
    """`old` lets label values that were wrong before stay."""
    if value is None:
        return
    node = value.get("nodeAffinity")
    if node is not None:
        here = f"{path}.nodeAffinity"
        if node.get(_REQUIRED) is not None:
            kept = _has_bad_values(((old or {}).get("nodeAffinity") or {}).get(_REQUIRED))
            node_selector(found, f"{here}.{_REQUIRED}", node[_REQUIRED], kept)
        for at, term in enumerate(node.get(_PREFERRED) or ()):
            _weight(found, f"{here}.{_PREFERRED}[{at}].weight", term)
            node_selector_term(found, f"{here}.{_PREFERRED}[{at}].preference", term.get("preference") or {}, True)
    for kind in ("podAffinity", "podAntiAffinity"):
        pods = value.get(kind) or {}
        for at, term in enumerate(pods.get(_REQUIRED) or ()):
            _pod_term(found, f"{path}.{kind}.{_REQUIRED}[{at}]", term)
        for at, term in enumerate(pods.get(_PREFERRED) or ()):
            here = f"{path}.{kind}.{_PREFERRED}[{at}]"
            _weight(found, f"{here}.weight", term)
            _pod_term(found, f"{here}.podAffinityTerm", term.get("podAffinityTerm") or {})


def _has_bad_values(selector: Mapping[str, Any] | None) -> bool:
    terms = (selector or {}).get("nodeSelectorTerms") or ()
    values = [v for term in terms for one in term.get("matchExpressions") or () for v in one.get("values") or ()]
    return any(is_label_value(value) for value in values)


def _weight(found: Findings, path: str, term: Mapping[str, Any]) -> None:
    weight = term.get("weight", 0)
    if not 0 < weight <= 100:
        found.invalid(path, weight, _WEIGHT)


def _pod_term(found: Findings, path: str, term: Mapping[str, Any]) -> None:
    label_selector(found, term.get("labelSelector"), f"{path}.labelSelector")
    label_selector(found, term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for name in term.get("namespaces") or ():
        found.check(f"{path}.namespace", name, is_dns1123_label)
    label_keys(found, path, term)
    key = term.get("topologyKey", "")
    if not key:
        found.required(f"{path}.topologyKey", "can not be empty")
    found.check(f"{path}.topologyKey", key, is_qualified_name)


def label_keys(found: Findings, path: str, term: Mapping[str, Any]) -> None:
    """matchLabelKeys and mismatchLabelKeys beside the selector they add to."""
    match, mismatch, selector = (
        term.get("matchLabelKeys") or [],
        term.get("mismatchLabelKeys") or [],
        term.get("labelSelector"),
    )
    for name, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
        if keys and selector is None:
            found.forbidden(f"{path}.{name}", "must not be specified when labelSelector is not set")
        else:
            for at, key in enumerate(keys):
                found.check(f"{path}.{name}[{at}]", key, is_qualified_name)
    if selector is not None:
        seen = set(selector.get("matchLabels") or ())
        for one in selector.get("matchExpressions") or ():
            key = one.get("key", "")
            if key in match and key in seen:
                at = len(match) - 1 - match[::-1].index(key)
                found.invalid(f"{path}[{at}]", key, "exists in both matchLabelKeys and labelSelector")
            seen.add(key)
    for at, key in enumerate(match):
        if key in mismatch:
            text = "exists in both matchLabelKeys and mismatchLabelKeys"
            found.invalid(f"{path}.matchLabelKeys[{at}]", key, text)


def node_selector(found: Findings, path: str, selector: Mapping[str, Any], any_values: bool = False) -> None:
    terms = selector.get("nodeSelectorTerms") or []
    if not terms:
        found.required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for at, term in enumerate(terms):
        node_selector_term(found, f"{path}.nodeSelectorTerms[{at}]", term, any_values)


def node_selector_term(found: Findings, path: str, term: Mapping[str, Any], any_values: bool) -> None:
    for at, one in enumerate(term.get("matchExpressions") or ()):
        _node_expression(found, f"{path}.matchExpressions[{at}]", one, any_values)
    for at, one in enumerate(term.get("matchFields") or ()):
        _node_field(found, f"{path}.matchFields[{at}]", one)


def _node_expression(found: Findings, path: str, one: Mapping[str, Any], any_values: bool) -> None:
    operator, values = one.get("operator", ""), one.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            found.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            found.forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            found.required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    else:
        found.invalid(f"{path}.operator", operator, "not a valid selector operator")
    found.check(f"{path}.key", one.get("key", ""), is_qualified_name)
    if not any_values:
        for at, value in enumerate(values):
            found.check(f"{path}.values[{at}]", value, is_label_value)


def _node_field(found: Findings, path: str, one: Mapping[str, Any]) -> None:
    values = one.get("values") or []
    if one.get("operator") not in ("In", "NotIn"):
        found.invalid(f"{path}.operator", one.get("operator", ""), "not a valid selector operator")
    elif len(values) != 1:
        text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        found.required(f"{path}.values", text)
    if one.get("key") != "metadata.name":
        found.invalid(f"{path}.key", one.get("key", ""), "not a valid field selector key")
    else:
        for at, value in enumerate(values):
            found.check(f"{path}.values[{at}]", value, is_dns1123_subdomain)


def tolerations(found: Findings, path: str, ones: Sequence[Mapping[str, Any]] | None) -> None:
    for at, one in enumerate(ones or ()):
        here = f"{path}[{at}]"
        key, operator, value = one.get("key", ""), one.get("operator", ""), one.get("value", "")
        if key:
            found.check(f"{here}.key", key, is_qualified_name)
        elif operator != "Exists":
            text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            found.invalid(f"{here}.operator", operator, text)
        if one.get("tolerationSeconds") is not None and one.get("effect") != "NoExecute":
            text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            found.invalid(f"{here}.effect", one.get("effect", ""), text)
        if operator in ("Equal", ""):
            complaints = is_label_value(value)
            if complaints:
                found.invalid(f"{here}.operator", value, ";".join(complaints))
        elif operator == "Exists":
            if value:
                found.invalid(f"{here}.operator", value, "value must be empty when `operator` is 'Exists'")
        else:
            more = ("Lt", "Gt") if operator in ("Lt", "Gt") else ()
            found.not_supported(f"{here}.operator", operator, ("Equal", "Exists", *more))
        if one.get("effect"):
            found.one_of(f"{here}.effect", one["effect"], TAINT_EFFECTS)


def topology_spread(found: Findings, path: str, ones: Sequence[Mapping[str, Any]] | None) -> None:
    ones = ones or ()
    for at, one in enumerate(ones):
        here, key, action = f"{path}[{at}]", one.get("topologyKey", ""), one.get("whenUnsatisfiable", "")
        found.positive(f"{here}.maxSkew", one.get("maxSkew", 0))
        if not key:
            found.required(f"{here}.topologyKey", "can not be empty")
        found.one_of(f"{here}.whenUnsatisfiable", action, ("DoNotSchedule", "ScheduleAnyway"))
        pair = (key, action)
        if any((other.get("topologyKey", ""), other.get("whenUnsatisfiable", "")) == pair for other in ones[at + 1 :]):
            found.duplicate(f"{here}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}")
        if one.get("minDomains") is not None:
            found.positive(f"{here}.minDomains", one["minDomains"])
            if action != "DoNotSchedule":
                text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                found.invalid(f"{here}.minDomains", one["minDomains"], text)
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if one.get(name) is not None:
                found.one_of(f"{here}.{name}", one[name], ("Honor", "Ignore"))
        label_keys(found, here, one)
        label_selector(found, one.get("labelSelector"), f"{here}.labelSelector")


def topology_selector_term(found: Findings, path: str, term: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Which values each key allows."""
    allowed: dict[str, frozenset[str]] = {}
    for at, one in enumerate(term.get("matchLabelExpressions") or ()):
        here, key, values = f"{path}.matchLabelExpressions[{at}]", one.get("key", ""), one.get("values") or []
        if not values:
            found.required(f"{here}.values")
        for index, value in enumerate(values):
            if value in values[:index]:
                found.duplicate(f"{here}.values[{index}]", value)
        found.check(f"{here}.key", key, is_qualified_name)
        if key in allowed:
            found.duplicate(f"{here}.key", key)
        allowed[key] = frozenset(values)
    return allowed


def taints(found: Findings, path: str, ones: Sequence[Mapping[str, Any]] | None) -> None:
    seen: set[tuple[str, str]] = set()
    for at, one in enumerate(ones or ()):
        here, key, effect = f"{path}[{at}]", one.get("key", ""), one.get("effect", "")
        found.check(f"{here}.key", key, is_qualified_name)
        complaints = is_label_value(one.get("value", ""))
        if complaints:
            found.invalid(f"{here}.value", one.get("value", ""), ";".join(complaints))
        found.one_of_required(f"{here}.effect", effect, TAINT_EFFECTS)
        if (key, effect) in seen:
            text = "taints must be unique by key and effect pair"
            found.duplicate(here, go_value("core.Taint", one), text)
        seen.add((key, effect))

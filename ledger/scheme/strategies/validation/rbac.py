"""Roles and their bindings. Some rules are declared: that rules have verbs, and subjects a name."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.field import required
from ledger.apimachinery.names import is_dns1123_subdomain, is_path_segment
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.common import (
    label_selector,
    meta_findings,
    meta_update_findings,
    selector_fails,
    selector_has_invalid_values,
)
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings

GROUP = "rbac.authorization.k8s.io"
Spec = dict[str, Any]


def role(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    return _role(definition, obj, False)


def role_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    ones = get(old, "aggregationRule.clusterRoleSelectors", [])
    found = _role(definition, obj, any(map(selector_has_invalid_values, ones)))
    found += meta_update_findings(definition, obj, old)
    return found


def _role(definition: ResourceDefinition, obj: Object, invalid_values: bool) -> Findings:
    """A Role, or a ClusterRole, which may also have rules for paths and be made of others."""
    found, namespaced = meta_findings(definition, obj), definition.namespaced
    for at, rule in enumerate(obj.get("rules") or ()):
        _rule(found, f"rules[{at}]", rule, namespaced)
    aggregation, path = obj.get("aggregationRule"), "aggregationRule.clusterRoleSelectors"
    if namespaced or aggregation is None:
        return found
    if not aggregation.get("clusterRoleSelectors"):
        found.required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")
    for at, selector in enumerate(aggregation.get("clusterRoleSelectors") or ()):
        label_selector(found, selector, f"{path}[{at}]", invalid_values)
        if selector_fails(selector):
            found.invalid(f"{path}[{at}]", None, "invalid label selector.")
    return found


def _rule(found: Findings, path: str, rule: Spec, namespaced: bool) -> None:
    urls = rule.get("nonResourceURLs")
    if urls:
        if namespaced:
            found.invalid(f"{path}.nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs")
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            text = "rules cannot apply to both regular resources and non-resource URLs"
            found.invalid(f"{path}.nonResourceURLs", urls, text)
        return
    if not rule.get("apiGroups"):
        found.required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    if not rule.get("resources"):
        found.required(f"{path}.resources", "resource rules must supply at least one resource")


def binding(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    """A RoleBinding or a ClusterRoleBinding."""
    found, reference = meta_findings(definition, obj), obj.get("roleRef") or {}
    kinds = ("Role", "ClusterRole") if definition.namespaced else ("ClusterRole",)
    found.one_of("roleRef.apiGroup", reference.get("apiGroup", ""), (GROUP,))
    found.one_of("roleRef.kind", reference.get("kind", ""), kinds)
    if reference.get("name"):
        found.check("roleRef.name", reference["name"], is_path_segment)
    else:
        found.unless_declared([required("roleRef.name")])
    for at, subject in enumerate(obj.get("subjects") or ()):
        _subject(found, f"subjects[{at}]", subject, definition.namespaced)
    return found


def binding_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = binding(definition, obj, context)
    found += meta_update_findings(definition, obj, old)
    if not same(obj.get("roleRef"), old.get("roleRef")):
        found.invalid("roleRef", go_value("rbac.RoleRef", obj.get("roleRef")), "field is immutable")
    return found


def _subject(found: Findings, path: str, subject: Spec, namespaced: bool) -> None:
    kind, group = subject.get("kind", ""), subject.get("apiGroup", "")
    if kind == "ServiceAccount":
        if subject.get("name"):
            found.check(f"{path}.name", subject["name"], is_dns1123_subdomain)
        found.one_of(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            found.required(f"{path}.namespace")
    elif kind in ("User", "Group"):
        found.one_of(f"{path}.apiGroup", group, (GROUP,))
    else:
        found.not_supported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group"))

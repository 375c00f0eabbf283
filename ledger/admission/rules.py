"""Whether a write is one that a policy or webhook asks for: its rules and selectors.

Follows pkg/admission/plugin/webhook/predicates and plugin/policy/matching of k8s.io/apiserver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ledger.admission.api import Attributes
from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.apimachinery.selectors import label_selector_from
from ledger.apimachinery.status import StatusError, not_found
from ledger.projections.api import View
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.scheme import Scheme

NAMESPACES = GroupResource("", "namespaces")
Rules = Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Matched:
    """The resource and version that a rule named; often the request's own."""

    definition: ResourceDefinition
    version: Version


def matches(
    attributes: Attributes, constraints: Mapping[str, Any], view: View, scheme: Callable[[], Scheme]
) -> Matched | None:
    """What the constraints (a MatchResources) see in this write; None when it is not theirs.

    Raises StatusError 404 when the namespace whose labels decide is missing.
    """
    trouble: StatusError | None = None
    try:
        if not _namespace_selected(attributes, constraints.get("namespaceSelector"), view):
            return None
    except StatusError as error:
        trouble = error
    if not object_selected(attributes, constraints.get("objectSelector")):
        return None
    equivalent = constraints.get("matchPolicy", "Equivalent") == "Equivalent"
    if matched(attributes, constraints.get("excludeResourceRules") or (), equivalent, scheme) is not None:
        return None
    rules = constraints.get("resourceRules") or ()
    found: Matched | None = Matched(attributes.definition, attributes.version)
    if rules:
        found = matched(attributes, rules, equivalent, scheme)
    if found is not None and trouble is not None:
        raise trouble
    return found


def matched(attributes: Attributes, rules: Rules, equivalent: bool, scheme: Callable[[], Scheme]) -> Matched | None:
    """The first form of the request's resource that one of the rules names: its own, or another of the same objects."""
    own = Matched(attributes.definition, attributes.version)
    if _named_by_any(attributes, rules, own):
        return own
    if equivalent:
        for rule in rules:
            for other in _equivalents(own, scheme()):
                if _named_by_any(attributes, (rule,), other):
                    return other
    return None


def _equivalents(own: Matched, scheme: Scheme) -> Iterable[Matched]:
    """The other versions and resources under which the same objects are served."""
    for definition in scheme.definitions.values():
        if definition.stored_as == own.definition.stored_as:
            for version in definition.versions.values():
                if version.served and (definition is not own.definition or version.name != own.version.name):
                    yield Matched(definition, version)


def _named_by_any(attributes: Attributes, rules: Rules, form: Matched) -> bool:
    return any(
        _has(rule.get("operations"), attributes.operation)
        and _has(rule.get("apiGroups"), form.definition.group)
        and _has(rule.get("apiVersions"), form.version.name)
        and _resource_named(rule.get("resources") or (), form.definition.resource, attributes.subresource)
        and _in_scope(rule.get("scope") or "*", attributes)
        and (not rule.get("resourceNames") or attributes.name in rule["resourceNames"])
        for rule in rules
    )


def _has(names: Iterable[str] | None, name: str) -> bool:
    return any(one in ("*", name) for one in names or ())


def _resource_named(resources: Iterable[str], resource: str, subresource: str) -> bool:
    for one in resources:
        name, _, part = one.partition("/")
        if name in ("*", resource) and part in ("*", subresource):
            return True
    return False


def _in_scope(scope: str, attributes: Attributes) -> bool:
    inside = bool(attributes.namespace) and attributes.definition.group_resource != NAMESPACES
    return scope == "*" or inside == (scope == "Namespaced")


def _namespace_selected(attributes: Attributes, selector: Mapping[str, Any] | None, view: View) -> bool:
    if not (selector or {}).get("matchLabels") and not (selector or {}).get("matchExpressions"):
        return True
    about_namespace = attributes.definition.group_resource == NAMESPACES
    if about_namespace and not attributes.subresource and attributes.operation in ("CREATE", "UPDATE"):
        return object_selected(attributes, selector, old_too=False)
    name = attributes.name if about_namespace else attributes.namespace
    if not name and not about_namespace:
        return True
    namespace = namespace_of(name, view)
    return label_selector_from(selector).matches(namespace["metadata"].get("labels") or {})


def namespace_of(name: str, view: View) -> Object:
    """Raises StatusError 404."""
    stored = view.get(Key("", "namespaces", "", name))
    if stored is None:
        raise not_found(NAMESPACES, name)
    found: Object = orjson.loads(stored.body)
    return found


def object_selected(attributes: Attributes, selector: Mapping[str, Any] | None, old_too: bool = True) -> bool:
    """Whether the object's labels, or those it had, are selected."""
    if not selector or not (selector.get("matchLabels") or selector.get("matchExpressions")):
        return True
    wanted = label_selector_from(selector)
    candidates = (attributes.object, attributes.old if old_too else None)
    return any(one is not None and wanted.matches(one["metadata"].get("labels") or {}) for one in candidates)

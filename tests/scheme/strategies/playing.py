"""One write, as the strategies alone decide it: decoded, defaulted, prepared, checked; nothing admitted or stored."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from ledger.apimachinery.field import FieldError
from ledger.apimachinery.http import User
from ledger.apimachinery.resource import GroupResource, Object
from ledger.scheme.builtin import builtin_definitions
from ledger.scheme.conversion import convert, to_storage
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.normalize import normalize
from ledger.scheme.strategies import (
    Context,
    canonicalize,
    default,
    prepare_for_create,
    prepare_for_update,
    validate_create,
    validate_update,
    warnings,
)
from ledger.scheme.strategies.validation import has_rules

DEFINITIONS = builtin_definitions()
USER = User("admin", "admin-uid", ("system:masters", "system:authenticated"))
NOW = "2024-01-01T00:00:00Z"
UID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The object as the client would see it, or what was found; and warnings."""

    obj: Object
    errors: list[FieldError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [str(error) for error in self.errors]


def definition_of(resource: str) -> ResourceDefinition:
    """By "pods", "apps/deployments"."""
    group, _, name = resource.rpartition("/")
    return DEFINITIONS[GroupResource(group, name)]


def rules_of(definition: ResourceDefinition) -> ResourceDefinition:
    if definition.storage is None or has_rules(definition):
        return definition
    return DEFINITIONS[definition.stored_as]


def decoded(definition: ResourceDefinition, version: str, body: Any) -> Object:
    """In the storage version, with defaults."""
    served = definition.versions[version]
    obj = normalize(served.kind, deepcopy(body))
    obj |= {"kind": served.kind.kind, "apiVersion": served.kind.api_version}
    obj.setdefault("metadata", {})
    default(definition, served, obj, NOW)
    return to_storage(definition, obj)


def create(resource: str, body: Any, version: str = "", namespace: str = "default") -> Outcome:
    definition = definition_of(resource)
    version = version or definition.storage_version
    obj, rules = decoded(definition, version, body), rules_of(definition)
    if definition.namespaced:
        obj["metadata"]["namespace"] = namespace
    obj["metadata"] |= {"uid": UID, "creationTimestamp": NOW}
    context = Context(USER, NOW, version)
    prepare_for_create(rules, obj, context)
    errors = validate_create(rules, obj, context)
    if errors:
        return Outcome(obj, errors)
    told = context.warnings + warnings(rules, obj, None)
    canonicalize(rules, obj, context)
    return Outcome(_shown(definition, version, obj), [], told)


def update(
    resource: str, body: Any, before: Any, subresource: str = "", version: str = "", namespace: str = "default"
) -> Outcome:
    """`before` is the stored object as the client sees it."""
    definition = definition_of(resource)
    version = version or definition.storage_version
    obj, old, rules = decoded(definition, version, body), decoded(definition, version, before), rules_of(definition)
    if definition.namespaced:
        obj["metadata"]["namespace"] = old["metadata"]["namespace"] = namespace
    for key in ("uid", "creationTimestamp", "generation", "deletionTimestamp"):
        if key in old["metadata"]:
            obj["metadata"][key] = old["metadata"][key]
    context = Context(USER, NOW, version)
    prepare_for_update(rules, obj, old, context, subresource)
    errors = validate_update(rules, obj, old, context, subresource)
    if errors:
        return Outcome(obj, errors)
    told = context.warnings + warnings(rules, obj, old, subresource)
    canonicalize(rules, obj, context)
    return Outcome(_shown(definition, version, obj), [], told)


def _shown(definition: ResourceDefinition, version: str, obj: Object) -> Object:
    return convert(definition, obj, version)

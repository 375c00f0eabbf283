"""The objects a binding's paramRef means (CollectParams in plugin/policy/generic of k8s.io/apiserver)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from ledger.apimachinery.resource import GVK, Key, Object, split_api_version
from ledger.apimachinery.selectors import label_selector_from
from ledger.projections.api import Stored, View
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.scheme import Scheme


class ConfigurationError(Exception):
    """A policy or binding that cannot be used; the text is what upstream tells the client."""


Kind = tuple[ResourceDefinition, Version]


def kind_of(kind: Mapping[str, str] | None, scheme: Scheme) -> Kind | None:
    """The resource of a paramKind; None for a policy without parameters. Raises ConfigurationError."""
    if kind is None:
        return None
    found = scheme.for_kind(GVK(*split_api_version(kind["apiVersion"]), kind["kind"]))
    if found is None:
        described = f"{kind['apiVersion']}, Kind={kind['kind']}"
        raise ConfigurationError(f"failed to find resource referenced by paramKind: '{described}'")
    return found


def collect(kind: Kind | None, reference: Mapping[str, Any] | None, namespace: str, view: View) -> list[Object | None]:
    """The parameters to evaluate a policy with, one after the other; [None]: it is evaluated without any.

    `namespace` is the request's. Raises ConfigurationError.
    """
    if kind is None or reference is None:
        return [None]
    definition, version = kind
    chosen = [_object(one, version) for one in _chosen(definition, reference, namespace, view)]
    if not chosen and reference.get("parameterNotFoundAction") == "Deny":
        raise ConfigurationError("no params found for policy binding with `Deny` parameterNotFoundAction")
    return list(chosen)


def _chosen(definition: ResourceDefinition, reference: Mapping[str, Any], namespace: str, view: View) -> list[Stored]:
    given = reference.get("namespace") or ""
    if definition.namespaced:
        namespace = given or namespace
        if not namespace:
            text = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            raise ConfigurationError(text)
    elif given:
        raise ConfigurationError("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
    else:
        namespace = ""
    resource = definition.stored_as
    if reference.get("name"):
        one = view.get(Key(resource.group, resource.resource, namespace, reference["name"]))
        return [] if one is None else [one]
    selector = label_selector_from(reference.get("selector"))
    return [one for one in view.scan(resource, namespace) if selector.matches(one.labels)]


def _object(stored: Stored, version: Version) -> Object:
    return {"apiVersion": version.kind.api_version, "kind": version.kind.kind, **orjson.loads(stored.body)}

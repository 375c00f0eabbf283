"""Names of types as people write them (cm, configmaps, deployments.v1.apps), by the discovery of one moment."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import GVK, GroupResource, Object
from ledger.scheme.custom import definition_of
from ledger.scheme.definition import Column, ResourceDefinition, Version
from ledger.scheme.scheme import Scheme, kube_version_key

CRDS = GroupResource("apiextensions.k8s.io", "customresourcedefinitions")


class UnknownType(ValueError):
    """No such type at that moment."""


class Kinds:
    """The types of one moment."""

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        order = {group.name: place for place, group in enumerate(scheme.groups())}
        served = [one for one in scheme.definitions.values() if any(v.served for v in one.versions.values())]
        served.sort(key=lambda one: (order.get(one.group, len(order)), one.resource))
        self._by_name: dict[str, list[ResourceDefinition]] = {}
        for rank in (_plurals, _singulars, _short_names):
            for definition in served:
                for name in rank(definition):
                    self._by_name.setdefault(name, []).append(definition)

    def find(self, text: str) -> ResourceDefinition:
        """The type of "cm", "configmaps", "ConfigMap", "deployments.apps", "deployments.v1.apps". Raises UnknownType."""
        name, _, rest = text.lower().partition(".")
        found = self._by_name.get(name, [])
        if rest:
            version, _, group = rest.partition(".")
            found = [one for one in found if one.group == rest or (one.group == group and version in one.versions)]
        if not found:
            raise UnknownType(f'there is no type "{text}" at that moment')
        return found[0]

    def definition(self, resource: GroupResource) -> ResourceDefinition | None:
        return self.scheme.definition(resource)

    def short(self, resource: GroupResource) -> str:
        """The shortest name a table can use: "cm"."""
        definition = self.definition(resource)
        return definition.short_names[0] if definition and definition.short_names else resource.resource

    def all(self) -> list[ResourceDefinition]:
        return list(self.scheme.definitions.values())


def _plurals(definition: ResourceDefinition) -> tuple[str, ...]:
    return (definition.resource,)


def _singulars(definition: ResourceDefinition) -> tuple[str, ...]:
    return tuple({definition.singular, definition.kind.lower()} - {definition.resource, ""})


def _short_names(definition: ResourceDefinition) -> tuple[str, ...]:
    return definition.short_names


def kinds_of(scheme: Scheme, crds: list[Object]) -> Kinds:
    """The built-in kinds and those that these CustomResourceDefinitions name."""
    definitions = [definition for crd in crds if (definition := custom_definition(crd))]
    return Kinds(scheme.with_custom(definitions) if definitions else scheme)


def custom_definition(crd: Object) -> ResourceDefinition | None:
    """The resource that a CRD makes.

    A log may not tell when a definition was established (its status was written at level Metadata): what reading needs
    is then taken from its spec.
    """
    return definition_of(crd) or _as_specified(crd)


def _as_specified(crd: Object) -> ResourceDefinition | None:
    """None where it lacks a name, a group or versions."""
    spec = crd.get("spec") or {}
    names = (crd.get("status") or {}).get("acceptedNames") or spec.get("names") or {}
    versions = [one for one in spec.get("versions") or () if one.get("name")]
    if not names.get("plural") or not versions or not spec.get("group"):
        return None
    ranked = sorted((one["name"] for one in versions), key=kube_version_key, reverse=True)
    storage = next((one["name"] for one in versions if one.get("storage")), ranked[0])
    return ResourceDefinition(
        group=spec["group"],
        resource=names["plural"],
        singular=names.get("singular") or (names.get("kind") or "").lower(),
        kind=names.get("kind") or "",
        list_kind=names.get("listKind") or "",
        namespaced=spec.get("scope") == "Namespaced",
        verbs=("get", "list", "watch"),
        versions={one["name"]: _version(spec["group"], names.get("kind") or "", one) for one in versions},
        storage_version=storage,
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        custom=True,
    )


def _version(group: str, kind: str, raw: dict[str, Any]) -> Version:
    columns = [Column("Name", "string")]
    for one in raw.get("additionalPrinterColumns") or ():
        columns.append(Column(one["name"], one["type"], priority=one.get("priority", 0), path=one.get("jsonPath", "")))
    if len(columns) == 1:
        columns.append(Column("Age", "date", path=".metadata.creationTimestamp"))
    return Version(
        name=raw["name"],
        kind=GVK(group, raw["name"], kind),
        served=bool(raw.get("served", True)),
        schema=(raw.get("schema") or {}).get("openAPIV3Schema"),
        columns=tuple(columns),
        selectable_fields=tuple(one["jsonPath"].lstrip(".") for one in raw.get("selectableFields") or ()),
    )

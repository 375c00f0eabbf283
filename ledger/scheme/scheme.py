"""Which kinds exist at one moment: an immutable snapshot that every request looks its resource up in.

A CRD changes the world by making a new Scheme (`with_custom`); whoever holds the old one goes on undisturbed.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ledger.apimachinery.resource import GVK, GVR, GroupResource
from ledger.scheme.builtin import GroupVersion, builtin_definitions, group_versions
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.runtime_config import RuntimeConfig

# What the APIService of a CRD's version gets (crdregistration controller in pkg/controlplane/controller).
CUSTOM_PRIORITIES = GroupVersion("", "", group_priority=1000, version_priority=100)


@dataclass(frozen=True, slots=True)
class Group:
    """An API group with the versions it serves, the preferred one first."""

    name: str  # empty: the core group
    versions: tuple[str, ...]
    priority: int

    @property
    def preferred(self) -> str:
        return self.versions[0]


class Scheme:
    """Every resource and where to find it. Made by `builtin` and `with_custom`; equal only to itself."""

    def __init__(self, definitions: Iterable[ResourceDefinition]) -> None:
        self.definitions: Mapping[GroupResource, ResourceDefinition] = {
            definition.group_resource: definition for definition in definitions
        }
        self._served: dict[GVR, tuple[ResourceDefinition, Version]] = {}
        self._kinds: dict[GVK, tuple[ResourceDefinition, Version]] = {}
        for definition in sorted(self.definitions.values(), key=lambda one: (one.group, one.resource)):
            for version in definition.versions.values():
                if version.served:
                    self._served[definition.gvr(version.name)] = (definition, version)
                    self._kinds.setdefault(version.kind, (definition, version))
        self._groups = _groups(self._served)

    def find(self, gvr: GVR) -> tuple[ResourceDefinition, Version] | None:
        """What is served under this URL; None when nothing is."""
        return self._served.get(gvr)

    def for_kind(self, gvk: GVK) -> tuple[ResourceDefinition, Version] | None:
        """The resource of this kind, in a served version; of several the first by name."""
        return self._kinds.get(gvk)

    def definition(self, resource: GroupResource) -> ResourceDefinition | None:
        """The resource whether or not any version of it is served."""
        return self.definitions.get(resource)

    def owner(self, definition: ResourceDefinition) -> ResourceDefinition:
        """The resource that stores this one's objects: itself, for all but a few (events.k8s.io, extensions)."""
        return definition if definition.storage is None else self.definitions[definition.storage]

    def groups(self) -> tuple[Group, ...]:
        """The groups with anything served, the core group first, in the order of /apis."""
        return self._groups

    def group(self, name: str) -> Group | None:
        return next((group for group in self._groups if group.name == name), None)

    def is_custom(self, group: str) -> bool:
        """Whether nothing in a group came in the box; upstream another router answers for what such a group lacks."""
        return all(definition.custom for definition in self.definitions.values() if definition.group == group)

    def serves(self, group: str, version: str) -> bool:
        """Whether anything is served in this group-version."""
        return (group, version) in self._by_group_version

    def resources(self, group: str, version: str) -> list[tuple[ResourceDefinition, Version]]:
        """What is served in this group-version, by name of the resource."""
        return self._by_group_version.get((group, version), [])

    @functools.cached_property
    def _by_group_version(self) -> dict[tuple[str, str], list[tuple[ResourceDefinition, Version]]]:
        found: dict[tuple[str, str], list[tuple[ResourceDefinition, Version]]] = {}
        for gvr, served in self._served.items():
            found.setdefault((gvr.group, gvr.version), []).append(served)
        return found

    def with_custom(self, definitions: Iterable[ResourceDefinition]) -> Scheme:
        """The same built-ins with exactly these custom resources."""
        builtins = [definition for definition in self.definitions.values() if not definition.custom]
        return Scheme([*builtins, *definitions])


def builtin(runtime_config: RuntimeConfig | None = None) -> Scheme:
    """The built-in resources with the versions that --runtime-config leaves on."""
    config = runtime_config or RuntimeConfig()
    known = group_versions()
    definitions = []
    for definition in builtin_definitions().values():
        versions = {
            name: dataclasses.replace(
                version, served=config.served(definition.gvr(name), known[definition.group, name])
            )
            for name, version in definition.versions.items()
        }
        definitions.append(dataclasses.replace(definition, versions=versions))
    return Scheme(definitions)


def _groups(served: Iterable[GVR]) -> tuple[Group, ...]:
    """Groups by priority, then by the name of their first APIService; versions by priority, then newest first.

    Follows SortedByGroupAndVersion in kube-aggregator: of equal groups the one with the smallest VERSION.GROUP comes
    first. The core group, which has a list of its own (/api), stands in front.
    """
    known = group_versions()
    versions: dict[str, set[str]] = {}
    for gvr in served:
        versions.setdefault(gvr.group, set()).add(gvr.version)

    def of(group: str, version: str) -> GroupVersion:
        return known.get((group, version), CUSTOM_PRIORITIES)

    def place(group: str) -> tuple[bool, int, str]:
        return min(
            (group != "", -of(group, version).group_priority, f"{version}.{group}") for version in versions[group]
        )

    def order(group: str) -> tuple[str, ...]:
        newest = sorted(versions[group], key=kube_version_key, reverse=True)
        return tuple(sorted(newest, key=lambda version: -of(group, version).version_priority))

    return tuple(Group(group, order(group), -place(group)[1]) for group in sorted(versions, key=place))


_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?\Z")


def kube_version_key(version: str) -> tuple[int, int, int, int, tuple[int, ...]]:
    """Sorts versions as Kubernetes ranks them: v2 > v1 > v2beta1 > v1beta1 > v1alpha1 > anything else, by name.

    Of names that are no versions the smaller is the higher (CompareKubeAwareVersionStrings).
    """
    found = _VERSION.match(version)
    if not found:
        return (0, 0, 0, 0, (*(-ord(char) for char in version), 1))  # 1: a name ranks above what it is a prefix of
    stability = {None: 3, "beta": 2, "alpha": 1}[found[2]]
    return (1, stability, int(found[1]), int(found[3] or 0), ())

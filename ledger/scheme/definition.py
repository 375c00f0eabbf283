"""What is known of a resource. A built-in is a CRD that came in the box: both become a ResourceDefinition, as data.

Anything true of one kind is a value here, so that no other room asks for a kind's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.apimachinery.resource import GVK, GVR, GroupResource, Schema


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get` (metav1.TableColumnDefinition)."""

    name: str
    type: str  # "string", "integer", "date", ...
    format: str = ""
    description: str = ""
    priority: int = 0  # above 0: only with -o wide
    path: str = ""  # JSONPath of a CRD's additionalPrinterColumns; empty for columns computed by a printer


@dataclass(frozen=True, slots=True)
class Subresource:
    """A subresource as discovery lists it."""

    name: str  # "status", "scale", "binding", ...
    kind: GVK  # what it takes and answers
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where the scale subresource finds its values, as dotted paths ("spec.replicas")."""

    spec_replicas: str
    status_replicas: str
    label_selector: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """One API version of a resource."""

    name: str  # "v1"
    kind: GVK
    served: bool
    schema: Schema | None  # of the whole object, apiVersion, kind and metadata included; None: anything goes
    columns: tuple[Column, ...] = ()
    subresources: Mapping[str, Subresource] = field(default_factory=dict)
    scale: ScalePaths | None = None
    selectable_fields: tuple[str, ...] = ()  # beside metadata.name and metadata.namespace: "spec.nodeName"
    deprecation_warning: str = ""
    storage_version_hash: str = ""
    structural: Schema | None = None  # of a custom resource: its definition's own schema, as values are held to it


@dataclass(frozen=True, slots=True)
class Traits:
    """How a resource behaves where resources differ (the registry strategies of k8s.io/kubernetes), as data."""

    name_format: str = "dns1123-subdomain"  # a key of ledger.apimachinery.names.FORMATS
    has_status: bool = False  # spec and status are written through different endpoints
    tracks_generation: bool = False  # metadata.generation counts changes of anything but metadata and status
    graceful_deletion: bool = False  # deletion waits for gracePeriodSeconds (pods)
    create_on_update: bool = False  # PUT of a missing name creates it
    unconditional_update: bool = True  # PUT without a resourceVersion is accepted
    returns_deleted: bool = False  # DELETE answers with the object instead of a Status
    default_garbage_policy: str = "background"  # what a DELETE without propagationPolicy means: background | orphan
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResourceDefinition:
    """A resource in all its versions."""

    group: str
    resource: str  # plural, as in the URL
    singular: str
    kind: str
    list_kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    versions: Mapping[str, Version]
    storage_version: str  # the version objects are stored in
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    traits: Traits = field(default_factory=Traits)
    custom: bool = False  # came from a CustomResourceDefinition
    storage: GroupResource | None = (
        None  # where objects are kept when another resource owns them (events.k8s.io -> events)
    )

    group_resource: GroupResource = field(init=False, repr=False, compare=False)  # asked for many times a request
    plans: dict[Any, Any] = field(init=False, repr=False, compare=False)  # what others work out of it once

    def __post_init__(self) -> None:
        object.__setattr__(self, "group_resource", GroupResource(self.group, self.resource))
        object.__setattr__(self, "plans", {})

    @property
    def stored_as(self) -> GroupResource:
        """The group and resource under which objects are stored."""
        return self.storage or self.group_resource

    def gvr(self, version: str) -> GVR:
        return GVR(self.group, version, self.resource)

"""An object in the version that a rule or webhook knows it by, and back in the version a write works in.

Built-in objects travel through the chain in their storage version, custom resources in the request's.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Protocol

from ledger.admission.api import Attributes
from ledger.admission.rules import NAMESPACES, Matched
from ledger.apimachinery.resource import GVK, Object
from ledger.apimachinery.status import StatusError, internal_error
from ledger.scheme import codec
from ledger.scheme.definition import ResourceDefinition, Version


class Forms(Protocol):
    """How an object goes from version to version; ledger.registry.behaviours is one."""

    def from_storage(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object: ...
    def to_storage(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object: ...
    def redecode(
        self, definition: ResourceDefinition, version: Version, obj: Object, field_validation: str
    ) -> tuple[Object, list[str]]: ...
    def patched(self, definition: ResourceDefinition, version: Version, obj: Object) -> Object: ...


def kind_of(matched: Matched, subresource: str) -> GVK:
    """The kind that travels through this resource or subresource."""
    part = matched.version.subresources.get(subresource)
    return matched.version.kind if part is None else part.kind


def namespace_asked(attributes: Attributes) -> str:
    """The namespace of a write as webhooks and policies see it: that of a Namespace is itself."""
    return attributes.name if attributes.definition.group_resource == NAMESPACES else attributes.namespace


def as_matched(forms: Forms, found: Matched, attributes: Attributes, obj: Object | None) -> Object | None:
    """The object in the version that the rule named. Subresources with a kind of their own stay as they are."""
    if obj is None or kind_of(found, attributes.subresource) != found.version.kind:
        return obj
    if not found.definition.custom:
        return forms.from_storage(found.definition, found.version, obj)
    if obj["apiVersion"] == found.version.kind.api_version:
        return obj
    return forms.from_storage(found.definition, found.version, deepcopy(obj))  # which works in place


def from_matched(forms: Forms, found: Matched, attributes: Attributes, obj: Object) -> Object:
    """The other way: what was changed in the rule's version, as the write goes on with it."""
    if kind_of(found, attributes.subresource) != found.version.kind:
        return obj
    if not found.definition.custom:
        return forms.to_storage(found.definition, found.version, obj)
    return as_matched(forms, Matched(attributes.definition, attributes.version), attributes, obj) or obj


def patched_form(forms: Forms, found: Matched, subresource: str, patched: Object, strict: bool = False) -> Object:
    """A patched object decoded again and defaulted. StatusError 500 when it is none of its kind any more."""
    kind = kind_of(found, subresource)
    try:
        if kind != found.version.kind:
            return codec.decode_value(patched, kind, check=False).obj
        if strict:
            return forms.redecode(found.definition, found.version, patched, "Strict")[0]
        return forms.patched(found.definition, found.version, patched)
    except codec.Refused as refused:
        raise internal_error(str(refused)) from None
    except StatusError as error:
        raise internal_error(str(error).partition('}": ')[2] or str(error)) from None  # without the object itself

"""What plugins are about: resources and operations, said once."""

from __future__ import annotations

from ledger.admission.api import Attributes
from ledger.apimachinery.resource import GroupResource
from ledger.apimachinery.status import StatusError, forbidden

PODS = GroupResource("", "pods")


def concerns(attributes: Attributes, resource: GroupResource, *operations: str) -> bool:
    """Whether this is one of the operations on the resource itself, not on a subresource."""
    return (
        attributes.operation in operations
        and not attributes.subresource
        and attributes.definition.group_resource == resource
    )


def refuse(attributes: Attributes, why: str) -> StatusError:
    """403 about the object (admission.NewForbidden)."""
    name = attributes.name
    if not name and attributes.object is not None:
        name = attributes.object["metadata"].get("generateName", "")
    return forbidden(attributes.definition.group_resource, name or "Unknown", why)

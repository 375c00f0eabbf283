"""NamespaceLifecycle: nothing is created in a namespace that is not there or is going; the first three cannot be deleted.

Follows k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle.
"""

from __future__ import annotations

import json

from ledger.admission.api import Attributes
from ledger.apimachinery.resource import GroupResource, Key
from ledger.apimachinery.status import forbidden, not_found
from ledger.log.event import Guard
from ledger.projections.api import Stored, View

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
NAMESPACES = GroupResource("", "namespaces")
# May be created while the namespace ends: an access review asks, it stores nothing.
_ALWAYS = frozenset({"localsubjectaccessreviews"})


class NamespaceLifecycle:
    name = "NamespaceLifecycle"

    def handles(self, attributes: Attributes) -> bool:
        if attributes.definition.group_resource == NAMESPACES:
            return attributes.operation == "DELETE" and not attributes.subresource
        return attributes.operation == "CREATE" and bool(attributes.namespace)

    def admit(self, attributes: Attributes, view: View) -> None:
        """Raises StatusError 403 or 404; what is created depends on the namespace as it was found."""
        definition = attributes.definition
        if definition.group_resource == NAMESPACES:
            if attributes.name in IMMORTAL:
                raise forbidden(NAMESPACES, attributes.name, "this namespace may not be deleted")
            return
        if definition.resource in _ALWAYS:
            return
        namespace = view.get(Key("", "namespaces", "", attributes.namespace))
        if namespace is None:
            raise not_found(NAMESPACES, attributes.namespace)
        attributes.guards.append(Guard(namespace.key, namespace.revision))
        if is_terminating(namespace):
            raise terminating(attributes)


def is_terminating(namespace: Stored) -> bool:
    if namespace.body.find(b'"deletionTimestamp"') < 0:
        return False
    return "deletionTimestamp" in json.loads(namespace.body)["metadata"]


def terminating(attributes: Attributes) -> Exception:
    """403 with the cause that clients look for to stop retrying."""
    namespace = attributes.namespace
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    error = forbidden(attributes.definition.group_resource, attributes.name, why)
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    error.details = {**(error.details or {}), "causes": [cause]}
    return error

"""Nobody grants by RBAC what they do not have (the policybased storages of k8s.io/kubernetes pkg/registry/rbac).

It is no plugin upstream and cannot be switched off; here it stands in the list, as it decides at the same place.
"""

from __future__ import annotations

from ledger.admission.api import Attributes
from ledger.auth.api import Authorize
from ledger.auth.escalation import forbid_escalation
from ledger.auth.rbac import GROUP, Rbac
from ledger.projections.api import View

RESOURCES = frozenset({"roles", "clusterroles", "rolebindings", "clusterrolebindings"})


class RbacEscalation:
    name = "RbacEscalation"

    def __init__(self, rbac: Rbac, authorize: Authorize) -> None:
        self.rbac, self.authorize = rbac, authorize

    def handles(self, attributes: Attributes) -> bool:
        definition = attributes.definition
        return (
            definition.group == GROUP
            and definition.resource in RESOURCES
            and attributes.operation in ("CREATE", "UPDATE")
        )

    def admit(self, attributes: Attributes, view: View) -> None:
        assert attributes.object is not None
        forbid_escalation(
            self.rbac,
            self.authorize,
            attributes.user,
            attributes.definition.resource,
            attributes.namespace,
            attributes.name if attributes.operation == "UPDATE" else "",
            attributes.object,
            attributes.old,
        )

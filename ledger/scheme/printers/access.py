"""Who may do what: rbac, admission registrations, certificates, flow control, leases."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.printers import durations
from ledger.scheme.printers.cell import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Cell,
    Row,
    condition,
    conditions,
    count,
    dig,
    fields,
    filled,
    items,
    labels,
    row,
    value,
)
from ledger.scheme.printers.selector_text import go_text


def _role(obj: Object, now: int) -> str:
    role = fields(obj, "roleRef")
    return f"{role.get('kind') or ''}/{role.get('name') or ''}"


def _subjects(kind: str) -> Cell:
    """The names of the binding's subjects of a kind; service accounts with their namespace."""

    def name(subject: dict[str, Any]) -> str:
        plain: str = subject.get("name") or ""
        return f"{subject.get('namespace') or ''}/{plain}" if kind == "ServiceAccount" else plain

    return lambda obj, now: ", ".join(name(one) for one in items(obj, "subjects") if fields(one).get("kind") == kind)


def _param_kind(obj: Object, now: int) -> str:
    found = dig(obj, "spec", "paramKind")
    return UNSET if found is None else f"{found.get('apiVersion') or ''}/{found.get('kind') or ''}"


def _param_ref(obj: Object, now: int) -> str:
    found = fields(obj, "spec", "paramRef")
    if found.get("name"):
        return f"{found.get('namespace') or '*'}/{found['name']}"
    return UNSET if found.get("selector") is None else go_text(found["selector"])


def _requested_duration(obj: Object, now: int) -> str:
    seconds = dig(obj, "spec", "expirationSeconds")
    return NONE if seconds is None else durations.human(seconds * 1_000_000)


def _signing_state(obj: Object, now: int) -> str:
    """Denied wins over approved; ",Failed" and ",Issued" are added."""
    kinds = {one.get("type") for one in conditions(obj)}
    state = "Denied" if "Denied" in kinds else "Approved" if "Approved" in kinds else "Pending"
    failed = ",Failed" if "Failed" in kinds else ""
    issued = ",Issued" if dig(obj, "status", "certificate") else ""
    return state + failed + issued


def _pod_certificate_state(obj: Object, now: int) -> str:
    kinds = [one.get("type") for one in conditions(obj)]
    return next((str(kind) for kind in reversed(kinds) if kind in ("Issued", "Denied", "Failed")), "Pending")


def _dangling(obj: Object, now: int) -> str:
    found = condition(obj, "Dangling")
    return "?" if found is None else found.get("status") or ""


_BINDING = row(NAME, _role, AGE, _subjects("User"), _subjects("Group"), _subjects("ServiceAccount"))
_WEBHOOKS = row(NAME, count("webhooks"), AGE)
_POLICY_BINDING = row(NAME, value("spec.policyName"), _param_ref, AGE)
_QUEUING = "spec.limited.limitResponse.queuing"

ROWS: dict[str, Row] = {
    "rolebindings.rbac.authorization.k8s.io": _BINDING,
    "clusterrolebindings.rbac.authorization.k8s.io": _BINDING,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": _WEBHOOKS,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": _WEBHOOKS,
    "validatingadmissionpolicies.admissionregistration.k8s.io": row(NAME, count("spec.validations"), _param_kind, AGE),
    "mutatingadmissionpolicies.admissionregistration.k8s.io": row(NAME, count("spec.mutations"), _param_kind, AGE),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": _POLICY_BINDING,
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": _POLICY_BINDING,
    "certificatesigningrequests.certificates.k8s.io": row(
        NAME, AGE, filled("spec.signerName", NONE), value("spec.username"), _requested_duration, _signing_state
    ),
    "clustertrustbundles.certificates.k8s.io": row(NAME, filled("spec.signerName", NONE)),
    "podcertificaterequests.certificates.k8s.io": row(
        NAME,
        value("spec.podName"),
        value("spec.serviceAccountName"),
        value("spec.nodeName"),
        value("spec.signerName"),
        _pod_certificate_state,
        labels("spec.unverifiedUserAnnotations"),
    ),
    "flowschemas.flowcontrol.apiserver.k8s.io": row(
        NAME,
        value("spec.priorityLevelConfiguration.name"),
        value("spec.matchingPrecedence", 0),
        value("spec.distinguisherMethod.type", NONE),
        AGE,
        _dangling,
    ),
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": row(
        NAME,
        value("spec.type"),
        value("spec.limited.nominalConcurrencyShares", NONE),
        value(f"{_QUEUING}.queues", NONE),
        value(f"{_QUEUING}.handSize", NONE),
        value(f"{_QUEUING}.queueLengthLimit", NONE),
        AGE,
    ),
    "leases.coordination.k8s.io": row(NAME, value("spec.holderIdentity"), AGE),
    "leasecandidates.coordination.k8s.io": row(
        NAME, value("spec.leaseName"), value("spec.binaryVersion"), value("spec.emulationVersion"), AGE
    ),
}

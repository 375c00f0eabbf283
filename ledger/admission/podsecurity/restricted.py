"""What the restricted level checks beyond baseline (k8s.io/pod-security-admission/policy)."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.admission.podsecurity.baseline import PROFILE_TYPES, proc_mount, seccomp
from ledger.admission.podsecurity.pod import (
    Check,
    Violation,
    bad_containers,
    containers,
    context_of,
    has_user_namespace,
    is_windows,
    named,
    plural,
    quoted_list,
    setters,
)
from ledger.apimachinery.resource import Object

Annotations = Mapping[str, str]
VOLUMES = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
]
OTHER_VOLUMES = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
]


def privilege_escalation(spec: Object, _: Annotations) -> Violation | None:
    bad = bad_containers(spec, lambda context: context.get("allowPrivilegeEscalation") is not False)
    what = "must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", f"{named(bad)} {what}") if bad else None


def capabilities(spec: Object, _: Annotations) -> Violation | None:
    keeping: list[str] = []
    adding: list[str] = []
    added: set[str] = set()
    for container in containers(spec):
        given = context_of(container).get("capabilities") or {}
        if "ALL" not in (given.get("drop") or ()):
            keeping.append(container["name"])
        extra = set(given.get("add") or ()) - {"NET_BIND_SERVICE"}
        if extra:
            adding.append(container["name"])
            added |= extra
    details = []
    if keeping:
        details.append(f'{named(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        what = f"must not include {quoted_list(sorted(added))} in securityContext.capabilities.add"
        details.append(f"{named(adding)} {what}")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def volumes(spec: Object, _: Annotations) -> Violation | None:
    bad = [one for one in spec.get("volumes") or () if not any(one.get(kind) is not None for kind in VOLUMES)]
    if not bad:
        return None
    kinds = sorted({next((kind for kind in OTHER_VOLUMES if one.get(kind) is not None), "unknown") for one in bad})
    what = f"{plural(len(bad), 'uses', 'use')} {plural(len(kinds), 'restricted volume type')} {quoted_list(kinds)}"
    return Violation("restricted volume types", f"{named([one['name'] for one in bad], 'volume')} {what}")


def run_as_non_root(spec: Object, _: Annotations) -> Violation | None:
    reason, own = "runAsNonRoot != true", context_of(spec).get("runAsNonRoot")
    by = setters(own is False, bad_containers(spec, lambda context: context.get("runAsNonRoot") is False))
    if by:
        return Violation(reason, f"{by} must not set securityContext.runAsNonRoot=false")
    unsaid = [] if own else bad_containers(spec, lambda context: context.get("runAsNonRoot") is None)
    what = "must set securityContext.runAsNonRoot=true"
    return Violation(reason, f"pod or {named(unsaid)} {what}") if unsaid else None


def run_as_user(spec: Object, _: Annotations) -> Violation | None:
    def is_bad(context: Object) -> bool:
        return context.get("runAsUser") == 0

    by = setters(is_bad(context_of(spec)), bad_containers(spec, is_bad))
    return Violation("runAsUser=0", f"{by} must not set runAsUser=0") if by else None


def seccomp_set(spec: Object, annotations: Annotations) -> Violation | None:
    bad = seccomp(spec, annotations)
    if bad is not None:
        return bad
    own = context_of(spec).get("seccompProfile") or {}
    if own.get("type") in PROFILE_TYPES:
        return None
    unsaid = bad_containers(spec, lambda context: context.get("seccompProfile") is None)
    what = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", f"pod or {named(unsaid)} {what}") if unsaid else None


def unless_windows(check: Check) -> Check:
    return lambda spec, annotations: None if is_windows(spec) else check(spec, annotations)


def unless_user_namespace(check: Check) -> Check:
    return lambda spec, annotations: None if has_user_namespace(spec) else check(spec, annotations)


# name: {minor version from which it holds: check}
RESTRICTED: dict[str, dict[int, Check]] = {
    "allowPrivilegeEscalation": {8: privilege_escalation, 25: unless_windows(privilege_escalation)},
    "capabilities_restricted": {22: capabilities, 25: unless_windows(capabilities)},
    "procMount_restricted": {35: proc_mount},
    "restrictedVolumes": {0: volumes},
    "runAsNonRoot": {0: run_as_non_root, 35: unless_user_namespace(run_as_non_root)},
    "runAsUser": {23: run_as_user, 35: unless_user_namespace(run_as_user)},
    "seccompProfile_restricted": {19: seccomp_set, 25: unless_windows(seccomp_set)},
}
# A check here takes the place of the weaker one there, from the version on that it has itself.
OVERRIDES = {
    "capabilities_restricted": "capabilities_baseline",
    "procMount_restricted": "procMount",
    "restrictedVolumes": "hostPathVolumes",
    "seccompProfile_restricted": "seccompProfile_baseline",
}

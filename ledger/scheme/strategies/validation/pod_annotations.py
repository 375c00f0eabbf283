"""Annotations of pods that mean something, and fields that must agree with them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ledger.apimachinery.field import quoted
from ledger.scheme.strategies.containers_of import visit
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.affinity import tolerations
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.volume_files import local_path

Spec = Mapping[str, Any]
MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP = "container.seccomp.security.alpha.kubernetes.io/"


def specific_annotations(
    found: Findings, path: str, values: Mapping[str, str] | None, spec: Spec, cost: bool = True
) -> None:
    """ValidatePodSpecificAnnotations; `cost`: whether a wrong deletion cost matters."""
    values = values or {}
    if MIRROR in values and not spec.get("nodeName"):
        text = "must set spec.nodeName if mirror pod annotation is set"
        found.invalid(f"{path}[{MIRROR}]", values[MIRROR], text)
    if values.get(_TOLERATIONS):
        _tolerations_annotation(found, path, values[_TOLERATIONS])
    if cost and deletion_cost_is_wrong(values):
        found.invalid(f"{path}[{DELETION_COST}]", values[DELETION_COST], "must be a 32bit integer")
    for key in [_SECCOMP_POD, *sorted(key for key in values if key.startswith(_SECCOMP))]:
        if key in values:
            _seccomp_annotation(found, f"{path}.{key}", values[key])
    names = {one.get("name", "") for one, _ in visit(spec, "")}
    for key in sorted(key for key in values if key.startswith(APPARMOR)):
        container, profile = key.removeprefix(APPARMOR), values[key]
        if container not in names:
            found.invalid(f"{path}[{key}]", container, "container not found")
        if profile not in ("", "runtime/default", "unconfined") and not profile.startswith("localhost/"):
            found.invalid(f"{path}[{key}]", profile, f"invalid AppArmor profile name: {quoted(profile)}")


def deletion_cost_is_wrong(values: Mapping[str, str]) -> bool:
    """A 32-bit integer, written without a plus or leading zeros."""
    text = values.get(DELETION_COST)
    if text is None:
        return False
    if not re.fullmatch("0|-?[1-9][0-9]*", text):
        return True
    return not -(2**31) <= int(text) < 2**31


def _tolerations_annotation(found: Findings, path: str, text: str) -> None:
    try:
        ones = json.loads(text)
    except ValueError as error:
        found.invalid(path, _TOLERATIONS, str(error))
        return
    tolerations(found, f"{path}.{_TOLERATIONS}", ones)


def _seccomp_annotation(found: Findings, path: str, profile: str) -> None:
    if profile in ("runtime/default", "docker/default", "unconfined"):
        return
    if profile.startswith("localhost/"):
        local_path(found, path, profile.removeprefix("localhost/"))
    else:
        found.invalid(path, profile, "must be a valid seccomp profile")


def seccomp_matches(found: Findings, path: str, metadata: Spec, spec: Spec) -> None:
    """Old annotations and new fields must say the same."""
    values = metadata.get("annotations") or {}
    pairs = [(_SECCOMP_POD, spec, path)]
    pairs += [(_SECCOMP + one.get("name", ""), one, here) for one, here in visit(spec, path)]
    for key, holder, here in pairs:
        profile = get(holder, "securityContext.seccompProfile")
        if profile is None or key not in values:
            continue
        field, kind, value = f"{here}.securityContext.seccompProfile", profile.get("type"), values[key]
        known = {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default", "docker/default")}
        if (kind in known and value not in known[kind]) or (kind == "Localhost" and not value.startswith("localhost/")):
            found.forbidden(f"{field}.type", "seccomp type in annotation and field must match")
        elif kind == "Localhost" and value.removeprefix("localhost/") != profile.get("localhostProfile"):
            found.forbidden(f"{field}.localhostProfile", "seccomp profile in annotation and field must match")


def apparmor_matches(found: Findings, path: str, metadata: Spec, spec: Spec) -> None:
    if get(spec, "os.name") == "windows":
        return
    values = metadata.get("annotations") or {}
    of_pod = get(spec, "securityContext.appArmorProfile")
    for one, here in visit(spec, path):
        profile = get(one, "securityContext.appArmorProfile") or of_pod
        value = values.get(APPARMOR + one.get("name", ""))
        if profile is None or value is None:
            continue
        field, kind = f"{here}.securityContext.appArmorProfile", profile.get("type")
        known = {"Unconfined": "unconfined", "RuntimeDefault": "runtime/default"}
        if (kind in known and value != known[kind]) or (kind == "Localhost" and not value.startswith("localhost/")):
            found.forbidden(f"{field}.type", "apparmor type in annotation and field must match")
        elif kind == "Localhost" and value.removeprefix("localhost/") != profile.get("localhostProfile"):
            found.forbidden(f"{field}.localhostProfile", "apparmor profile in annotation and field must match")

"""Changes to a running pod through its own subresources: its size, and containers to debug it with."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.prepare_pods import qos_class
from ledger.scheme.strategies.validation import pod_annotations
from ledger.scheme.strategies.validation.common import meta_update_findings
from ledger.scheme.strategies.validation.diffs import go_diff
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.pods import annotation_updates, metadata_and_spec


def update_ephemeral_containers(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    found += metadata_and_spec(definition, obj, old)
    annotation_updates(found, obj, old)
    if pod_annotations.MIRROR in get(old, "metadata.annotations", {}):
        only = Findings()
        only.forbidden("", "static pods do not support ephemeral containers")
        return only
    new = {one.get("name"): one for one in get(obj, "spec.ephemeralContainers", [])}
    for one in get(old, "spec.ephemeralContainers", []):
        name = one.get("name", "")
        if name not in new:
            text = f'existing ephemeral containers "{name}" may not be removed\n'
            found.forbidden("spec.ephemeralContainers", text)
        elif not same(new[name], one):
            diff = go_diff("core.EphemeralContainer", one, new[name])
            text = f'existing ephemeral containers "{name}" may not be changed\n{diff}'
            found.forbidden("spec.ephemeralContainers", text)
    return found


def resize(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    """ValidatePodResize: CPU and memory may change, nothing else, and not the quality of service."""
    found = meta_update_findings(definition, obj, old)
    found += metadata_and_spec(definition, obj, old)
    only = Findings()
    if pod_annotations.MIRROR in get(old, "metadata.annotations", {}):
        only.forbidden("", "static pods cannot be resized")
    elif get(old, "spec.os.name") == "windows":
        only.forbidden("", "windows pods cannot be resized")
    if only:
        return only
    new, before = obj["spec"], old["spec"]
    if (get(old, "status.qosClass") or qos_class(before)) != qos_class(new):
        text = "Pod QOS Class may not change as a result of resizing"
        found.invalid("spec", get(obj, "status.qosClass", ""), text)
    running = next((s for s in get(old, "status.containerStatuses", []) if get(s, "state.running") is not None), None)
    if running is not None and running.get("resources") is None:
        found.forbidden("spec", "Pod running on node without support for resize")
    munged = deepcopy(new)
    if _amounts_set(before) or _amounts_set(new):
        _pod_level_resize(found, munged, before)
    if not _same_containers(found, new, before):
        return found
    _container_resizes(found, munged, before)
    if not same(new.get("volumes"), before.get("volumes")):
        gate = "InPlacePodVerticalScalingMemoryBackedVolumes feature gate is disabled"
        found.forbidden("spec.volumes", f"volumes are immutable on resize when {gate}")
    if not found and not same(munged, before):
        found.forbidden("spec", "only cpu and memory resources are mutable")
    return found


def _amounts_set(spec: dict[str, Any]) -> bool:
    return bool(get(spec, "resources.requests") or get(spec, "resources.limits"))


def _pod_level_resize(found: Findings, munged: dict[str, Any], before: dict[str, Any]) -> None:
    old = before.get("resources")
    if old is not None and munged.get("resources") is None:
        found.forbidden("spec.resources", "pod-level resources cannot be removed")
        return
    if old is not None:
        _not_removed(found, "spec.resources", munged["resources"], old, "pod-level resource")
    _take_compute(munged["resources"], old or {})
    if old is None and not any(munged["resources"].values()):
        munged.pop("resources")
    if not same(munged.get("resources"), old):
        found.forbidden("spec", "only cpu and memory resources are mutable at pod-level")


def _not_removed(found: Findings, path: str, new: dict[str, Any], old: dict[str, Any], what: str) -> None:
    for key in ("requests", "limits"):
        if set(old.get(key) or ()) - set(new.get(key) or ()):
            found.forbidden(f"{path}.{key}", f"{what} {key} cannot be removed")


def _take_compute(new: dict[str, Any], old: dict[str, Any]) -> None:
    """CPU and memory of `new` become those of `old`, so that what still differs is something else."""
    for key in ("requests", "limits"):
        values = {name: value for name, value in (new.get(key) or {}).items() if name not in ("cpu", "memory")}
        values |= {name: value for name, value in (old.get(key) or {}).items() if name in ("cpu", "memory")}
        if values:
            new[key] = values
        else:
            new.pop(key, None)


def _same_containers(found: Findings, new: dict[str, Any], before: dict[str, Any]) -> bool:
    count = len(found)
    for key in ("containers", "initContainers"):
        ones, old = new.get(key) or [], before.get(key) or []
        if len(ones) != len(old):
            found.forbidden(f"spec.{key}", f"{key} may not be added or removed on resize")
            continue
        for at, (one, old_one) in enumerate(zip(ones, old, strict=True)):
            if one.get("name") != old_one.get("name"):
                found.forbidden(f"spec.{key}[{at}].name", f"{key} may not be renamed or reordered on resize")
    return len(found) == count


def _container_resizes(found: Findings, munged: dict[str, Any], before: dict[str, Any]) -> None:
    initial = list(zip(munged.get("initContainers") or (), before.get("initContainers") or (), strict=True))
    plain = list(zip(munged.get("containers") or (), before.get("containers") or (), strict=True))
    for key, pairs in (("initContainers", initial), ("containers", plain)):
        for at, (one, old) in enumerate(pairs):
            path = f"spec.{key}[{at}].resources"
            _not_removed(found, path, one.get("resources") or {}, old.get("resources") or {}, "resource")
    for one, old in plain:
        _take_compute(one.setdefault("resources", {}), old.get("resources") or {})
        if not same(one, old):
            found.forbidden("spec", "only cpu and memory resources are mutable")
    for at, (one, old) in enumerate(initial):
        modified, path = not same(one, old), f"spec.initContainers[{at}]"
        _take_compute(one.setdefault("resources", {}), old.get("resources") or {})
        if not same(one, old):
            found.forbidden(path, "only cpu and memory resources for init or sidecar containers are mutable")
        if modified and one.get("restartPolicy") != "Always":
            for policy in one.get("resizePolicy") or ():
                if policy.get("restartPolicy") == "RestartContainer":
                    text = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
                    found.forbidden(path, text)

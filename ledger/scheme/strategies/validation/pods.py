"""Pods and pod templates: what a create, an update and each subresource checks."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from ledger.apimachinery.names import is_dns1123_label, is_dns1123_subdomain, is_qualified_name
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.prepare_pods import qos_class
from ledger.scheme.strategies.validation import pod_spec
from ledger.scheme.strategies.validation.affinity import tolerations
from ledger.scheme.strategies.validation.common import (
    INT32_MAX,
    ip_address,
    is_dual_stack,
    meta_findings,
    meta_update_findings,
)
from ledger.scheme.strategies.validation.containers import image_is_trimmed
from ledger.scheme.strategies.validation.diffs import go_diff, go_value
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.volumes import user_id

_UPDATABLE = ",".join(
    (
        "`spec.containers[*].image`",
        "`spec.initContainers[*].image`",
        "`spec.activeDeadlineSeconds`",
        "`spec.tolerations` (only additions to existing tolerations)",
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    )
)


def create(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = _metadata_and_spec(definition, obj, None)
    spec = obj.get("spec") or {}
    if spec.get("ephemeralContainers"):
        found.forbidden("spec.ephemeralContainers", "cannot be set on create")
    if spec.get("nodeName") and spec.get("schedulingGates"):
        found.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")
    pod_spec.seccomp_matches(found, "spec", obj["metadata"], spec)
    pod_spec.apparmor_matches(found, "spec", obj["metadata"], spec)
    return found


def _metadata_and_spec(definition: ResourceDefinition, obj: Object, old: Object | None) -> Findings:
    found = meta_findings(definition, obj)
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    pod_spec.annotations(found, "metadata.annotations", metadata.get("annotations"), spec, _checks_cost(old))
    pod_spec.pod_spec(found, "spec", spec, metadata, (old or {}).get("spec"), is_pod=True)
    if not spec.get("serviceAccountName"):
        for at, volume in enumerate(spec.get("volumes") or ()):
            for index, source in enumerate(get(volume, "projected.sources", [])):
                if source.get("serviceAccountToken") is not None:
                    path = f"spec.volumes[{at}].projected.sources[{index}].serviceAccountToken"
                    found.forbidden(path, "must not be specified when serviceAccountName is not set")
    found.not_negative("spec.terminationGracePeriodSeconds", spec.get("terminationGracePeriodSeconds"))
    for key in ("containers", "initContainers"):
        for at, one in enumerate(spec.get(key) or ()):
            image_is_trimmed(found, f"spec.{key}[{at}]", one)
    return found


def _checks_cost(old: Object | None) -> bool:
    return not pod_spec.deletion_cost_is_wrong(get(old or {}, "metadata.annotations", {}))


def update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    found += _metadata_and_spec(definition, obj, old)
    _annotation_updates(found, obj, old)
    new, before = obj["spec"], old["spec"]
    for key in ("containers", "initContainers"):
        if len(new.get(key) or ()) != len(before.get(key) or ()):
            found.forbidden(f"spec.{key}", "pod updates may not add or remove containers")
            return found
        for at, one in enumerate(new.get(key) or ()):
            if not one.get("image"):
                found.required(f"spec.{key}[{at}].image")
            image_is_trimmed(found, f"spec.{key}[{at}]", one)
    if _deadline(found, new.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")):
        return found
    _tolerations_only_added(found, new.get("tolerations") or [], before.get("tolerations") or [])
    _gates_only_removed(found, new.get("schedulingGates") or [], before.get("schedulingGates") or [])
    if not same(new, before):
        _rest_is_fixed(found, new, before)
    return found


def _annotation_updates(found: Findings, obj: Object, old: Object) -> None:
    new, before = get(obj, "metadata.annotations", {}), get(old, "metadata.annotations", {})
    for key in sorted(before):
        if new.get(key) != before[key]:
            if key.startswith(pod_spec.APPARMOR):
                found.forbidden(f"metadata.annotations[{key}]", "may not remove or update AppArmor annotations")
            if key == pod_spec.MIRROR:
                found.forbidden(f"metadata.annotations[{key}]", "may not remove or update mirror pod annotation")
    for key in sorted(new.keys() - before.keys()):
        if key.startswith(pod_spec.APPARMOR):
            found.forbidden(f"metadata.annotations[{key}]", "may not add AppArmor annotations")
        if key == pod_spec.MIRROR:
            found.forbidden(f"metadata.annotations[{key}]", "may not add mirror pod annotation")
    pod_spec.annotations(found, "metadata.annotations", new, obj.get("spec") or {}, _checks_cost(old))


def _deadline(found: Findings, new: int | None, before: int | None) -> bool:
    """Whether the deadline is so wrong that nothing else is looked at: it may only come closer."""
    path = "spec.activeDeadlineSeconds"
    if new is None:
        if before is not None:
            found.invalid(path, None, "must not update from a positive integer to nil value")
        return False
    if not 0 <= new <= INT32_MAX:
        found.in_range(path, new, 0, INT32_MAX)
        return True
    if before is not None and before < new:
        found.invalid(path, new, "must be less than or equal to previous value")
        return True
    return False


def _tolerations_only_added(found: Findings, new: list[Any], before: list[Any]) -> None:
    def without_seconds(one: Any) -> Any:
        return {key: value for key, value in one.items() if key != "tolerationSeconds"}

    kept = [without_seconds(one) for one in new]
    if any(without_seconds(one) not in kept for one in before):
        found.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")
        return
    tolerations(found, "spec.tolerations", new)


def _gates_only_removed(found: Findings, new: list[Any], before: list[Any]) -> None:
    known = {gate.get("name") for gate in before}
    for at, gate in enumerate(new):
        if gate.get("name") not in known:
            text = f"only deletion is allowed, but found new scheduling gate '{gate.get('name', '')}'"
            found.forbidden(f"spec.schedulingGates[{at}].name", text)


def _rest_is_fixed(found: Findings, new: dict[str, Any], before: dict[str, Any]) -> None:
    """Nothing but the updatable fields differs; a gated pod may also narrow where it runs."""
    munged = deepcopy(new)
    for key in ("containers", "initContainers"):
        for one, old_one in zip(munged.get(key) or (), before.get(key) or (), strict=True):
            one["image"] = old_one.get("image", "")
    for key in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        _take(munged, before, key)
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and munged.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    if before.get("schedulingGates"):
        _narrowed(found, munged, before)
    if not same(munged, before):
        text = f"pod updates may not change fields other than {_UPDATABLE}"
        found.forbidden("spec", f"{text}\n{go_diff('core.PodSpec', before, munged)}")


def _take(new: dict[str, Any], before: dict[str, Any], key: str) -> None:
    if before.get(key) is None:
        new.pop(key, None)
    else:
        new[key] = before[key]


def _narrowed(found: Findings, munged: dict[str, Any], before: dict[str, Any]) -> None:
    selector, old_selector = munged.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if selector != old_selector:
        if any(selector.get(key) != value for key, value in old_selector.items()):
            text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            found.invalid("spec.nodeSelector", selector or None, text)
        _take(munged, before, "nodeSelector")
    node, old_node = get(munged, "affinity.nodeAffinity"), get(before, "affinity.nodeAffinity")
    if same(node, old_node):
        return
    _affinity_narrowed(found, node or {}, old_node or {})
    if before.get("affinity") is None and set(munged["affinity"]) <= {"nodeAffinity"}:
        munged.pop("affinity")
    elif munged.get("affinity") is None:
        munged["affinity"] = {"nodeAffinity": old_node}
    else:
        _take(munged["affinity"], before.get("affinity") or {}, "nodeAffinity")


def _affinity_narrowed(found: Findings, new: dict[str, Any], before: dict[str, Any]) -> None:
    key = "requiredDuringSchedulingIgnoredDuringExecution"
    path = f"spec.affinity.nodeAffinity.{key}.nodeSelectorTerms"
    old_terms = get(before, f"{key}.nodeSelectorTerms", [])
    terms = get(new, f"{key}.nodeSelectorTerms", [])
    if old_terms and len(old_terms) != len(terms):
        shown = [go_value("core.NodeSelectorTerm", term) for term in terms] or None
        found.invalid(path, shown, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")
        return
    for at, (term, old_term) in enumerate(zip(terms, old_terms, strict=False)):
        if not _only_added(term, old_term):
            shown = go_value("core.NodeSelectorTerm", term)
            found.invalid(f"{path}[{at}]", shown, "only additions are allowed (no mutations or deletions)")


def _only_added(term: dict[str, Any], old: dict[str, Any]) -> bool:
    lists = [(term.get(key) or [], old.get(key) or []) for key in ("matchExpressions", "matchFields")]
    if not any(before for _, before in lists):
        return not any(after for after, _ in lists)
    return all(same(after[: len(before)], before) for after, before in lists)


def update_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    _annotation_updates(found, obj, old)
    status, before = obj.get("status") or {}, old.get("status") or {}
    for at, condition in enumerate(status.get("conditions") or ()):
        here = f"status.conditions[{at}]"
        if condition.get("observedGeneration", 0) < 0:
            text = "must be a non-negative integer"
            found.invalid(f"{here}.observedGeneration", condition["observedGeneration"], text)
        if condition.get("type") not in ("PodScheduled", "Ready", "Initialized"):
            found.check(f"{here}.Type", condition.get("type", ""), is_qualified_name)
    _nominated_node(found, status, before, old)
    if status.get("observedGeneration", 0) < 0:
        found.invalid("status.observedGeneration", status["observedGeneration"], "must be a non-negative integer")
    found.immutable("status.qosClass", status.get("qosClass", ""), before.get("qosClass", ""))
    for key in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        _state_transition(found, f"status.{key}", status.get(key) or [], before.get(key) or [], old["spec"], key)
    _claim_statuses(found, status.get("resourceClaimStatuses") or [], obj)
    _extended_claim(found, status.get("extendedResourceClaimStatus"), obj["spec"])
    _addresses(found, "podIP", status, before)
    _addresses(found, "hostIP", status, before)
    for key in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        _users(found, f"status.{key}", status.get(key) or [], get(obj, "spec.os.name", "linux"))
    return found


def _nominated_node(found: Findings, status: dict[str, Any], before: dict[str, Any], old: Object) -> None:
    name, path = status.get("nominatedNodeName", ""), "status.nominatedNodeName"
    if name and name != before.get("nominatedNodeName", ""):
        found.check(path, name, is_dns1123_subdomain)
        if get(old, "spec.nodeName"):
            found.forbidden(path, "may not be set on pods that are already bound to a node")


def _state_transition(
    found: Findings, path: str, new: list[Any], before: list[Any], spec: dict[str, Any], key: str
) -> None:
    """What has terminated stays so, unless it may be restarted."""
    for at, old in enumerate(before):
        terminated = get(old, "state.terminated")
        if terminated is None:
            continue
        status = next((one for one in new if one.get("name") == old.get("name")), None)
        if status is None or get(status, "state.terminated") is not None:
            continue
        if key == "ephemeralContainerStatuses" or not _may_restart(old, terminated, spec, key):
            found.forbidden(f"{path}[{at}].state", "may not be transitioned to non-terminated state")


def _may_restart(old: dict[str, Any], terminated: dict[str, Any], spec: dict[str, Any], key: str) -> bool:
    containers = spec.get("initContainers" if key == "initContainerStatuses" else "containers") or []
    everyone = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    if any(
        rule.get("action") == "RestartAllContainers" for one in everyone for rule in one.get("restartPolicyRules") or ()
    ):
        return True
    one = next((one for one in containers if one.get("name") == old.get("name")), None)
    if one is None:
        return False
    code = terminated.get("exitCode", 0)
    for rule in one.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        if (code in (codes.get("values") or ())) == (codes.get("operator") == "In"):
            return rule.get("action") == "Restart"
    policy = one.get("restartPolicy") or spec.get("restartPolicy")
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def _claim_statuses(found: Findings, statuses: list[Any], obj: Object) -> None:
    known = {claim.get("name") for claim in get(obj, "spec.resourceClaims", [])}
    seen: set[str] = set()
    for at, status in enumerate(statuses):
        here, name = f"status.resourceClaimStatuses[{at}]", status.get("name", "")
        if name not in known:
            text = "must match the name of an entry in `spec.resourceClaims`"
            found.invalid(f"{here}.name", name, text)
        if name in seen:
            found.duplicate(f"{here}.name", name)
        seen.add(name)
        if status.get("resourceClaimName") is not None:
            found.check(f"{here}.resourceClaimName", status["resourceClaimName"], is_dns1123_subdomain)


def _extended_claim(found: Findings, status: dict[str, Any] | None, spec: dict[str, Any]) -> None:
    if status is None:
        return
    path = "status.extendedResourceClaimStatus"
    everyone = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    containers = {one.get("name"): one for one in everyone}
    mappings = status.get("requestMappings") or []
    if not mappings:
        found.required(f"{path}.requestMappings", "at least one request mapping is required")
    seen = set()
    for at, mapping in enumerate(mappings):
        here = f"{path}.requestMappings[{at}]"
        keys = tuple(mapping.get(key, "") for key in ("containerName", "resourceName", "requestName"))
        one = containers.get(keys[0])
        entries = "spec.initContainers.{0} or spec.containers.{0}"
        if one is None:
            text = f"must match the name of an entry in {entries.format('name')}"
            found.invalid(f"{here}.containerName", keys[0], text)
        elif keys[1] not in get(one, "resources.requests", {}):
            text = f"must match the extended resource name of an entry in {entries.format('resources.requests')}"
            found.invalid(f"{here}.resourceName", keys[1], text)
        found.check(f"{path}.requestName", keys[2], is_dns1123_label)
        if keys in seen:
            for key, value in zip(("containerName", "resourceName", "requestName"), keys, strict=True):
                found.duplicate(f"{here}.{key}", value)
        seen.add(keys)
    found.name(f"{path}.resourceClaimName", status.get("resourceClaimName", ""), is_dns1123_subdomain)


def _addresses(found: Findings, key: str, status: dict[str, Any], before: dict[str, Any]) -> None:
    """podIP and podIPs, hostIP and hostIPs: the first of the list is the single one, at most one a family."""
    plural, kind = f"{key}s", {"podIP": "core.PodIP", "hostIP": "core.HostIP"}[key]
    ones = status.get(plural) or []
    texts = [one.get("ip", "") for one in ones]
    known = [one.get("ip", "") for one in before.get(plural) or ()]
    if key == "hostIP" and texts and status.get(key, "") != texts[0]:
        found.invalid(f"status.{plural}[0].ip", texts[0], f"must be equal to `{key}`")
    for at, text in enumerate(texts):
        ip_address(found, f"status.{plural}[{at}]", text, known)
    shown = [go_value(kind, one) for one in ones]
    if len(texts) > 1 and (len(texts) > 2 or not is_dual_stack(texts)):
        found.invalid(f"status.{plural}", shown, "may specify no more than one IP for each IP family")
    if key == "podIP":
        if bool(status.get(key)) != bool(texts):
            text = "podIP and podIPs must either both be set or both be unset"
            found.invalid(f"status.{plural}", shown or None, text)
        elif texts and status[key] != texts[0]:
            found.invalid(f"status.{plural}[0].ip", texts[0], f"must be equal to `{key}`")


def _users(found: Findings, path: str, statuses: list[Any], system: str) -> None:
    for at, status in enumerate(statuses):
        user = get(status, "user.linux")
        if user is None:
            continue
        here = f"{path}[{at}].user.linux"
        if system == "windows":
            found.forbidden(here, "cannot be set for a windows pod")
            continue
        if not 0 <= user.get("uid", 0) <= 4294967295:
            found.in_range(f"{here}.uid", user["uid"], 0, 4294967295)
        user_id(found, f"{here}.gid", user.get("gid"))
        for index, group in enumerate(user.get("supplementalGroups") or ()):
            user_id(found, f"{here}.supplementalGroups[{index}]", group)


def update_ephemeral_containers(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    found += _metadata_and_spec(definition, obj, old)
    _annotation_updates(found, obj, old)
    if pod_spec.MIRROR in get(old, "metadata.annotations", {}):
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
    found += _metadata_and_spec(definition, obj, old)
    only = Findings()
    if pod_spec.MIRROR in get(old, "metadata.annotations", {}):
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


def binding(obj: Object) -> Findings:
    """A Binding posted to pods/binding."""
    found, target = Findings(), obj.get("target") or {}
    kind, name = target.get("kind", ""), target.get("name", "")
    if kind not in ("", "Node"):
        found.not_supported("target.kind", kind, ("Node", "<empty>"))
    if not name:
        found.required("target.name")
    elif kind in ("", "Node"):
        found.check("target.name", name, is_dns1123_subdomain)
    return found


def create_template(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    pod_spec.template(found, "template", obj.get("template") or {})
    return found


def update_template(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    pod_spec.template(found, "template", obj.get("template") or {}, old.get("template"))
    return found

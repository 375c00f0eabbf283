"""The status of pods."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.names import is_dns1123_label, is_dns1123_subdomain, is_qualified_name
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.addresses import ip_address, is_dual_stack
from ledger.scheme.strategies.validation.common import meta_update_findings
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.pods import annotation_updates
from ledger.scheme.strategies.validation.volume_files import user_id


def update_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    annotation_updates(found, obj, old)
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

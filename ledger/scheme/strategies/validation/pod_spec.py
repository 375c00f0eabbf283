"""The spec of a pod, of its own or in a template (ValidatePodSpec, ValidatePodTemplateSpec)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.apimachinery.field import quoted
from ledger.apimachinery.names import (
    is_dns1123_label,
    is_dns1123_subdomain,
    is_dns1123_subdomain_with_underscore,
    is_qualified_name,
)
from ledger.apimachinery.objectmeta import validate_annotations, validate_labels
from ledger.scheme.strategies.containers_of import visit
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.prepare_pods import aggregate
from ledger.scheme.strategies.validation import containers, security
from ledger.scheme.strategies.validation.addresses import ip_address
from ledger.scheme.strategies.validation.affinity import affinity, tolerations, topology_spread
from ledger.scheme.strategies.validation.common import INT32_MAX
from ledger.scheme.strategies.validation.containers import PodFacts
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.pod_annotations import (
    MIRROR,
    apparmor_matches,
    seccomp_matches,
    specific_annotations,
)
from ledger.scheme.strategies.validation.resources import amounts, is_huge_pages, pod_resource_name, requirements
from ledger.scheme.strategies.validation.volumes import volumes

Spec = Mapping[str, Any]


def template(found: Findings, path: str, value: Spec, old: Spec | None = None) -> None:
    """ValidatePodTemplateSpec; `old` is the template before an update."""
    metadata, spec = value.get("metadata") or {}, value.get("spec") or {}
    found += validate_labels(metadata.get("labels"), f"{path}.labels")
    found += validate_annotations(metadata.get("annotations"), f"{path}.annotations")
    specific_annotations(found, f"{path}.annotations", metadata.get("annotations"), spec)
    pod_spec(found, f"{path}.spec", spec, None, (old or {}).get("spec"))
    seccomp_matches(found, f"{path}.spec", metadata, spec)
    apparmor_matches(found, f"{path}.spec", metadata, spec)
    if spec.get("ephemeralContainers"):
        found.forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def pod_spec(
    found: Findings, path: str, spec: Spec, metadata: Spec | None, old: Spec | None = None, is_pod: bool = False
) -> None:
    """`metadata` is None for templates; `old` lets what was wrong before stay."""
    if spec.get("terminationGracePeriodSeconds") is None:
        found.required(f"{path}.terminationGracePeriodSeconds")
    name = (metadata or {}).get("name", "")
    good = volumes(found, f"{path}.volumes", spec.get("volumes"), name)
    claims = spec.get("resourceClaims") or ()
    pod = PodFacts(
        volumes=good,
        claim_names=frozenset(one["name"] for one in claims if one.get("name")),
        grace_period=spec.get("terminationGracePeriodSeconds"),
        restart_policy=spec.get("restartPolicy", ""),
        host_users=spec.get("hostUsers") is not False,
        os=get(spec, "os.name"),
        indivisible_pages=_had_indivisible_pages(old),
        sys_admin=_had_sys_admin(old),
        init_restarts=_had_init_restarts(old),
    )
    _resource_claims(found, f"{path}.resourceClaims", claims, metadata)
    containers.plain(found, f"{path}.containers", spec.get("containers"), pod)
    containers.init(found, f"{path}.initContainers", spec.get("initContainers"), spec.get("containers") or (), pod)
    containers.ephemeral(found, f"{path}.ephemeralContainers", spec, pod)
    _pod_resources(found, path, spec, pod)
    _host_network_ports(found, f"{path}.containers", spec, is_pod)
    policies = ("Always", "OnFailure", "Never")
    found.one_of_required(f"{path}.restartPolicy", spec.get("restartPolicy", ""), policies)
    dns = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
    found.one_of_required(f"{path}.dnsPolicy", spec.get("dnsPolicy", ""), dns)
    found += validate_labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    host_sysctls = _had_host_sysctls(old)
    security.of_pod(found, f"{path}.securityContext", spec.get("securityContext"), spec, host_sysctls)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        found.invalid(f"{path}.shareProcessNamespace", True, text)
    affinity(found, f"{path}.affinity", spec.get("affinity"), (old or {}).get("affinity"))
    _dns_config(found, f"{path}.dnsConfig", spec)
    for at, gate in enumerate(spec.get("readinessGates") or ()):
        found.check(f"{path}.readinessGates[{at}].conditionType", gate.get("conditionType", ""), is_qualified_name)
    _scheduling_gates(found, f"{path}.schedulingGates", spec.get("schedulingGates") or ())
    topology_spread(found, f"{path}.topologySpreadConstraints", spec.get("topologySpreadConstraints"))
    _windows_host_process(found, path, spec)
    _host_users(found, path, spec, old)
    _host_name_override(found, f"{path}.hostnameOverride", spec)
    _names(found, path, spec)
    tolerations(found, f"{path}.tolerations", spec.get("tolerations"))
    for at, alias in enumerate(spec.get("hostAliases") or ()):
        ip_address(found, f"{path}.hostAliases[{at}].ip", alias.get("ip", ""))
        for index, hostname in enumerate(alias.get("hostnames") or ()):
            found.check(f"{path}.hostAliases[{at}].hostnames[{index}]", hostname, is_dns1123_subdomain)
    _classes(found, path, spec, pod)
    _operating_system(found, path, spec)
    _file_key_volumes(found, path, spec)


def _had_indivisible_pages(old: Spec | None) -> bool:
    checked = Findings()
    for one, _ in visit(old or {}, ""):
        requirements(
            checked, "", {key: value for key, value in (one.get("resources") or {}).items() if key != "claims"}
        )
    return any("is not positive integer multiple of" in error.detail for error in checked)


def _had_sys_admin(old: Spec | None) -> bool:
    return any(
        get(one, "securityContext.allowPrivilegeEscalation") is False
        and "CAP_SYS_ADMIN" in get(one, "securityContext.capabilities.add", [])
        for one, _ in visit(old or {}, "")
    )


def _had_init_restarts(old: Spec | None) -> bool:
    return any(
        policy.get("restartPolicy") == "RestartContainer"
        for one in (old or {}).get("initContainers") or ()
        if one.get("restartPolicy") != "Always"
        for policy in one.get("resizePolicy") or ()
    )


def _had_host_sysctls(old: Spec | None) -> bool:
    checked = Findings()
    for one in get(old or {}, "securityContext.sysctls", []):
        security.host_sysctl(checked, "", one.get("name", ""), old or {})
    return bool(checked)


def _resource_claims(found: Findings, path: str, claims: Any, metadata: Spec | None) -> None:
    names: set[str] = set()
    for at, claim in enumerate(claims):
        if MIRROR in ((metadata or {}).get("annotations") or {}):
            found.forbidden("", "static pods do not support resource claims")
            continue
        here, name = f"{path}[{at}]", claim.get("name", "")
        if not name:
            found.required(f"{here}.name")
        elif name in names:
            found.duplicate(f"{here}.name", name)
        else:
            found.check(f"{here}.name", name, is_dns1123_label)
            names.add(name)
        direct, by_template = claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName")
        shown = go_value("core.PodResourceClaim", claim)
        if direct is not None and by_template is not None:
            text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            found.invalid(here, shown, text)
        if direct is None and by_template is None:
            found.invalid(here, shown, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
        for key, value in (("resourceClaimName", direct), ("resourceClaimTemplateName", by_template)):
            if value is not None:
                found.check(f"{here}.{key}", value, is_dns1123_subdomain)


def _pod_resources(found: Findings, path: str, spec: Spec, pod: PodFacts) -> None:
    """Requests and limits of the pod as a whole, which hold those of its containers."""
    resources = spec.get("resources")
    if resources is None:
        return
    here = f"{path}.resources"
    if pod.os == "windows":
        found.forbidden(here, "may not be set for a windows pod")
        return
    if resources.get("claims"):
        found.forbidden(f"{here}.claims", "claims may not be set for Resources at pod-level")
    requirements(found, here, resources, pod.claim_names, pod_resource_name, pod.indivisible_pages)
    requests, limits = amounts(resources.get("requests")), amounts(resources.get("limits"))
    for name, total in sorted(aggregate(spec, "requests").items()):
        if name in requests and total > requests[name]:
            text = f"must be greater than or equal to aggregate container requests of {total}"
            found.invalid(f"{here}.requests[{name}]", str(requests[name]), text)
    for name, total in sorted(aggregate(spec, "limits").items()):
        if is_huge_pages(name) and name in limits and total > limits[name]:
            text = f"must be greater than or equal to aggregate container limits of {total}"
            found.invalid(f"{here}.limits[{name}]", str(limits[name]), text)
    for at, one in enumerate(spec.get("containers") or ()):
        for name, limit in amounts((one.get("resources") or {}).get("limits")).items():
            if name in limits and limit > limits[name]:
                text = f"must be less than or equal to pod limits of {limits[name]}"
                found.invalid(f"{here}.containers[{at}][{name}].limits", str(limit), text)


def _host_network_ports(found: Findings, path: str, spec: Spec, is_pod: bool) -> None:
    if not spec.get("hostNetwork"):
        return
    for at, one in enumerate(spec.get("containers") or ()):
        for index, port in enumerate(one.get("ports") or ()):
            host = port.get("hostPort", 0)
            if (is_pod or host) and host != port.get("containerPort", 0):
                text = "must match `containerPort` when `hostNetwork` is true"
                found.invalid(f"{path}[{at}].ports[{index}].hostPort", host, text)


def _dns_config(found: Findings, path: str, spec: Spec) -> None:
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            found.required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            found.required(f"{path}.nameservers", text)
            return
    if config is None:
        return
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > 3:
        found.invalid(f"{path}.nameservers", servers, "must not have more than 3 nameservers")
    for at, server in enumerate(servers):
        ip_address(found, f"{path}.nameservers[{at}]", server)
    if len(searches) > 32:
        found.invalid(f"{path}.searches", searches, "must not have more than 32 search paths")
    if len(" ".join(searches)) > 2048:
        text = "must not have more than 2048 characters (including spaces) in the search list"
        found.invalid(f"{path}.searches", searches, text)
    for at, search in enumerate(searches):
        if search != ".":
            found.check(f"{path}.searches[{at}]", search.removesuffix("."), is_dns1123_subdomain_with_underscore)
    for at, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            found.required(f"{path}.options[{at}]", "must not be empty")


def _scheduling_gates(found: Findings, path: str, gates: Any) -> None:
    seen: set[str] = set()
    for at, gate in enumerate(gates):
        name = gate.get("name", "")
        found.check(f"{path}[{at}]", name, is_qualified_name)
        if name in seen:
            found.duplicate(f"{path}[{at}]", name)
        seen.add(name)


def _windows_host_process(found: Findings, path: str, spec: Spec) -> None:
    of_pod = get(spec, "securityContext.windowsOptions.hostProcess")
    count = on_host = 0
    for one, here in visit(spec, path):
        count += 1
        own = get(one, "securityContext.windowsOptions.hostProcess")
        if of_pod is not None and own is not None and own != of_pod:
            text = f"pod hostProcess value must be identical if both are specified, was {'true' if of_pod else 'false'}"
            found.invalid(f"{here}.securityContext.windowsOptions.hostProcess", own, text)
        on_host += bool(own if own is not None else of_pod)
    if not on_host:
        return
    if on_host != count:
        text = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        found.invalid(path, "", text)
    if not spec.get("hostNetwork"):
        text = "hostNetwork must be true if pod contains any hostProcess containers"
        found.invalid(f"{path}.hostNetwork", False, text)


def _host_users(found: Findings, path: str, spec: Spec, old: Spec | None) -> None:
    if spec.get("hostUsers") is not False:
        return
    text = "when `hostUsers` is false"
    for key, label in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
        if spec.get(key):
            found.forbidden(f"{path}.{label}", text)
    before = (old or {}).get("hostUsers") is False and any(one.get("volumeDevices") for one, _ in visit(old or {}, ""))
    if not before:
        for one, here in visit(spec, path):
            if one.get("volumeDevices"):
                found.forbidden(f"{here}.volumeDevices", text)


def _host_name_override(found: Findings, path: str, spec: Spec) -> None:
    name = spec.get("hostnameOverride")
    if name is None:
        return
    for key in ("setHostnameAsFQDN", "hostNetwork"):
        if spec.get(key):
            found.forbidden(path, f"may not be specified when {key} is true")
    if len(name) > 64:
        found.too_long(path, 64)
    found.check(path, name, is_dns1123_subdomain)


def _names(found: Findings, path: str, spec: Spec) -> None:
    account = spec.get("serviceAccountName", "")
    if account:
        found.check(f"{path}.serviceAccountName", account, is_dns1123_subdomain)
    if spec.get("serviceAccount", "") != account:
        text = f"must be the same as serviceAccountName: {quoted(account)}"
        found.invalid(f"{path}.deprecatedServiceAccount", spec.get("serviceAccount", ""), text)
    if spec.get("nodeName"):
        found.check(f"{path}.nodeName", spec["nodeName"], is_dns1123_subdomain)
    if spec.get("activeDeadlineSeconds") is not None:
        found.in_range(f"{path}.activeDeadlineSeconds", spec["activeDeadlineSeconds"], 1, INT32_MAX)
    for key in ("hostname", "subdomain"):
        if spec.get(key):
            found.check(f"{path}.{key}", spec[key], is_dns1123_label)


def _classes(found: Findings, path: str, spec: Spec, pod: PodFacts) -> None:
    if spec.get("priorityClassName"):
        found.check(f"{path}.priorityClassName", spec["priorityClassName"], is_dns1123_subdomain)
    if spec.get("runtimeClassName") is not None:
        found.check(f"{path}.runtimeClassName", spec["runtimeClassName"], is_dns1123_subdomain)
    if spec.get("preemptionPolicy") is not None:
        policies = ("PreemptLowerPriority", "Never")
        found.one_of_required(f"{path}.preemptionPolicy", spec["preemptionPolicy"], policies)
    if spec.get("overhead") is not None:
        limits = {"limits": spec["overhead"]}
        requirements(found, f"{path}.overhead", limits, indivisible_pages=pod.indivisible_pages)


_WINDOWS_POD = (
    *("appArmorProfile", "seLinuxOptions", "seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls", "runAsUser"),
    *("runAsGroup", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxChangePolicy"),
)
_WINDOWS_CONTAINER = (
    *("appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem", "privileged"),
    *("allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup"),
)


def _operating_system(found: Findings, path: str, spec: Spec) -> None:
    """What only one operating system has may not be asked of the other."""
    if spec.get("os") is None:
        return
    name = spec["os"].get("name", "")
    if not name:
        found.required(f"{path}.os.name")
    elif name not in ("linux", "windows"):
        found.not_supported(f"{path}.os", name, ("linux", "windows"))
    elif name == "linux":
        text = "windows options cannot be set for a linux pod"
        for one, here in ((spec, path), *visit(spec, path)):
            if get(one, "securityContext.windowsOptions") is not None:
                found.forbidden(f"{here}.securityContext.windowsOptions", text)
    else:
        _windows(found, path, spec)


def _windows(found: Findings, path: str, spec: Spec) -> None:
    text = "cannot be set for a windows pod"
    context = spec.get("securityContext") or {}
    for key in _WINDOWS_POD:
        if context.get(key) is not None and context.get(key) != []:
            found.forbidden(f"{path}.securityContext.{key}", text)
    for key in ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"):
        if spec.get(key) is not None and (spec[key] or key in ("hostUsers", "shareProcessNamespace")):
            found.forbidden(f"{path}.{key}", text)
    for one, here in visit(spec, path):
        context = one.get("securityContext") or {}
        for key in _WINDOWS_CONTAINER:
            if context.get(key) is not None:
                found.forbidden(f"{here}.securityContext.{key}", text)


def _file_key_volumes(found: Findings, path: str, spec: Spec) -> None:
    sources = {one.get("name", ""): one for one in spec.get("volumes") or ()}
    for one, here in visit(spec, path):
        for at, variable in enumerate(one.get("env") or ()):
            name = get(variable, "valueFrom.fileKeyRef.volumeName")
            if get(variable, "valueFrom.fileKeyRef") is None:
                continue
            field = f"{here}.env[{at}].valueFrom.fileKeyRef.volumeName"
            source = sources.get(name or "")
            if source is None:
                found.not_found(field, name or "")
            elif source.get("emptyDir") is None:
                found.invalid(field, name, "referenced volume must be of type emptyDir")

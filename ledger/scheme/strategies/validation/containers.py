"""Containers of a pod: plain, init and ephemeral ones, with their ports, environment, mounts, probes and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger.apimachinery.names import (
    is_dns1123_label,
    is_http_header_name,
    is_port_name,
)
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation import security
from ledger.scheme.strategies.validation.addresses import port_number, port_number_or_name
from ledger.scheme.strategies.validation.environment import environment, environment_from
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.resources import requirements
from ledger.scheme.strategies.validation.volume_files import (
    local_path,
)
from ledger.scheme.strategies.validation.volumes import pull_policy

Container = Mapping[str, Any]
PROTOCOLS = ("SCTP", "TCP", "UDP")


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What the rules of a container need to know of its pod."""

    volumes: Mapping[str, Any]  # those that are fine, by name
    claim_names: frozenset[str]
    grace_period: int | None
    restart_policy: str
    host_users: bool
    os: str | None
    indivisible_pages: bool = False  # the old pod had such huge pages already
    sys_admin: bool = False  # the old pod added CAP_SYS_ADMIN without escalation already
    init_restarts: bool = False  # the old pod restarted init containers on resize already
    old_volumes: Mapping[str, Any] = field(default_factory=dict)


def plain(found: Findings, path: str, ones: Sequence[Container] | None, pod: PodFacts) -> None:
    if not ones:
        found.required(path)
        return
    names: set[str] = set()
    for at, one in enumerate(ones):
        here = f"{path}[{at}]"
        common(found, here, one, pod)
        name = one.get("name", "")
        if name in names:
            found.duplicate(f"{here}.name", name)
        names.add(name)
        _lifecycle(found, f"{here}.lifecycle", one.get("lifecycle"), pod)
        _probes(found, here, one)
        restart_rules(found, here, one)
    _host_ports(found, path, ones)


def init(
    found: Findings, path: str, ones: Sequence[Container] | None, plain_ones: Sequence[Container], pod: PodFacts
) -> None:
    names = {one.get("name", "") for one in plain_ones or ()}
    for at, one in enumerate(ones or ()):
        here = f"{path}[{at}]"
        common(found, here, one, pod)
        if one.get("restartPolicy") is None:
            if one.get("restartPolicyRules"):
                found.required(f"{here}.restartPolicy", "must specify restartPolicy when restart rules are used")
        else:
            restart_rules(found, here, one)
        name = one.get("name", "")
        if name in names:
            found.duplicate(f"{here}.name", name)
        elif name:
            names.add(name)
        _host_ports(found, path, [one])
        sidecar = one.get("restartPolicy") == "Always"
        if sidecar:
            _lifecycle(found, f"{here}.lifecycle", one.get("lifecycle"), pod)
            _probes(found, here, one)
        else:
            for key in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                if one.get(key) is not None:
                    text = "may not be set for init containers without restartPolicy=Always"
                    found.forbidden(f"{here}.{key}", text)
        if not sidecar and not pod.init_restarts:
            for index, policy in enumerate(one.get("resizePolicy") or ()):
                if policy.get("restartPolicy") == "RestartContainer":
                    text = "must not be set to 'RestartContainer' for non-sidecar initContainers"
                    found.invalid(f"{here}.resizePolicy[{index}].restartPolicy", "RestartContainer", text)


_NOT_EPHEMERAL = (
    *("ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", "livenessProbe", "readinessProbe"),
    *("startupProbe", "lifecycle"),
)


def ephemeral(found: Findings, path: str, spec: Mapping[str, Any], pod: PodFacts) -> None:
    others = {one.get("name", "") for key in ("containers", "initContainers") for one in spec.get(key) or ()}
    names = set(others)
    for at, one in enumerate(spec.get("ephemeralContainers") or ()):
        here, name = f"{path}[{at}]", one.get("name", "")
        common(found, here, one, pod)
        image_is_trimmed(found, here, one)
        if name in names:
            found.duplicate(f"{here}.name", name)
        names.add(name)
        target = one.get("targetContainerName", "")
        if target and target not in others:
            found.not_found(f"{here}.targetContainerName", target)
        for key in _NOT_EPHEMERAL:
            if one.get(key):
                found.forbidden(f"{here}.{key}", "cannot be set for an Ephemeral Container")
        for index, mount in enumerate(one.get("volumeMounts") or ()):
            for key in ("subPath", "subPathExpr"):
                if mount.get(key):
                    text = "cannot be set for an Ephemeral Container"
                    found.forbidden(f"{here}.volumeMounts[{index}].{key}", text)


def image_is_trimmed(found: Findings, path: str, one: Container) -> None:
    image = one.get("image", "")
    if image != image.strip():
        found.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")


def common(found: Findings, path: str, one: Container, pod: PodFacts) -> None:
    """validateContainerCommon."""
    found.name(f"{path}.name", one.get("name", ""), is_dns1123_label)
    if not one.get("image"):
        found.required(f"{path}.image")
    policies = ("File", "FallbackToLogsOnError")
    found.one_of_required(f"{path}.terminationMessagePolicy", one.get("terminationMessagePolicy", ""), policies)
    _ports(found, f"{path}.ports", one.get("ports") or ())
    environment(found, f"{path}.env", one.get("env") or ())
    environment_from(found, f"{path}.envFrom", one.get("envFrom") or ())
    _mounts(found, f"{path}.volumeMounts", one, pod)
    _devices(found, f"{path}.volumeDevices", one, pod)
    pull_policy(found, f"{path}.imagePullPolicy", one.get("imagePullPolicy", ""))
    requirements(
        found, f"{path}.resources", one.get("resources"), pod.claim_names, indivisible_pages=pod.indivisible_pages
    )
    _resize_policy(found, f"{path}.resizePolicy", one.get("resizePolicy") or (), pod.restart_policy)
    security.of_container(found, f"{path}.securityContext", one.get("securityContext"), pod.host_users, pod.sys_admin)


def _ports(found: Findings, path: str, ports: Sequence[Mapping[str, Any]]) -> None:
    names: set[str] = set()
    for at, port in enumerate(ports):
        here, name = f"{path}[{at}]", port.get("name", "")
        if name:
            complaints = is_port_name(name)
            for text in complaints:
                found.invalid(f"{here}.name", name, text)
            if not complaints and name in names:
                found.duplicate(f"{here}.name", name)
            elif not complaints:
                names.add(name)
        number = port.get("containerPort", 0)
        if not number:
            found.required(f"{here}.containerPort")
        else:
            port_number(found, f"{here}.containerPort", number)
        if port.get("hostPort"):
            port_number(found, f"{here}.hostPort", port["hostPort"])
        found.one_of_required(f"{here}.protocol", port.get("protocol", ""), PROTOCOLS)


def _host_ports(found: Findings, path: str, ones: Sequence[Container]) -> None:
    seen: set[str] = set()
    for at, one in enumerate(ones):
        for index, port in enumerate(one.get("ports") or ()):
            if port.get("hostPort"):
                text = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
                if text in seen:
                    found.duplicate(f"{path}[{at}].ports[{index}].hostPort", text)
                seen.add(text)


def _mounts(found: Findings, path: str, one: Container, pod: PodFacts) -> None:
    devices = {device.get("name", ""): device.get("devicePath", "") for device in one.get("volumeDevices") or ()}
    seen: set[str] = set()
    for at, mount in enumerate(one.get("volumeMounts") or ()):
        here, name, target = f"{path}[{at}]", mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            found.required(f"{here}.name")
        if name not in pod.volumes:
            found.not_found(f"{here}.name", name)
        if not target:
            found.required(f"{here}.mountPath")
        if target in seen:
            found.invalid(f"{here}.mountPath", target, "must be unique")
        seen.add(target)
        if name in devices:
            found.invalid(f"{here}.name", name, "must not already exist in volumeDevices")
        if target in devices.values():
            found.invalid(f"{here}.mountPath", target, "must not already exist as a path in volumeDevices")
        if mount.get("subPath"):
            local_path(found, f"{path}.subPath", mount["subPath"])
        if mount.get("subPathExpr"):
            if mount.get("subPath"):
                text = "subPathExpr and subPath are mutually exclusive"
                found.invalid(f"{here}.subPathExpr", mount["subPathExpr"], text)
            local_path(found, f"{path}.subPathExpr", mount["subPathExpr"])
        _propagation(found, f"{path}.mountPropagation", mount.get("mountPropagation"), one)
        _recursive_read_only(found, f"{path}.recursiveReadOnly", mount)


def _propagation(found: Findings, path: str, propagation: str | None, one: Container) -> None:
    if propagation is None:
        return
    found.one_of(path, propagation, ("Bidirectional", "HostToContainer", "None"))
    if propagation == "Bidirectional" and not get(one, "securityContext.privileged"):
        found.forbidden(path, "Bidirectional mount propagation is available only to privileged containers")


def _recursive_read_only(found: Findings, path: str, mount: Mapping[str, Any]) -> None:
    value = mount.get("recursiveReadOnly")
    if value in ("Enabled", "IfPossible"):
        if not mount.get("readOnly"):
            found.forbidden(path, "may only be specified when readOnly is true")
        if mount.get("mountPropagation") not in (None, "None"):
            found.forbidden(path, "may only be specified when mountPropagation is None or not specified")
    elif value is not None:
        found.one_of(path, value, ("Disabled", "Enabled", "IfPossible"))


def _devices(found: Findings, path: str, one: Container, pod: PodFacts) -> None:
    mounts = {mount.get("name", ""): mount.get("mountPath", "") for mount in one.get("volumeMounts") or ()}
    names: set[str] = set()
    paths: set[str] = set()
    for at, device in enumerate(one.get("volumeDevices") or ()):
        here, name, target = f"{path}[{at}]", device.get("name", ""), device.get("devicePath", "")
        source = pod.volumes.get(name)
        if not name:
            found.required(f"{here}.name")
        if name in names:
            found.invalid(f"{here}.name", name, "must be unique")
        if source is None:
            found.not_found(f"{here}.name", name)
        elif source.get("persistentVolumeClaim") is None and source.get("ephemeral") is None:
            text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            found.invalid(f"{here}.name", name, text)
            if source is None:
                found.not_found(f"{here}.name", name)
        if not target:
            found.required(f"{here}.devicePath")
        if target in paths:
            found.invalid(f"{here}.devicePath", target, "must be unique")
        if target and ".." in target.split("/"):
            found.invalid(f"{here}.devicePath", target, "can not contain backsteps ('..')")
        else:
            paths.add(target)
        if name in mounts:
            found.invalid(f"{here}.name", name, "must not already exist in volumeMounts")
        if target in mounts.values():
            found.invalid(f"{here}.devicePath", target, "must not already exist as a path in volumeMounts")
        if name:
            names.add(name)


def _resize_policy(found: Findings, path: str, policies: Sequence[Mapping[str, Any]], pod_restarts: str) -> None:
    seen: set[str] = set()
    for at, policy in enumerate(policies):
        name, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if name in seen:
            found.duplicate(f"{path}[{at}]", name)
        seen.add(name)
        found.one_of_required(path, name, ("cpu", "memory"))
        found.one_of_required(path, restart, ("NotRequired", "RestartContainer"))
        if pod_restarts == "Never" and restart != "NotRequired":
            found.invalid(path, restart, "must be 'NotRequired' when pod `restartPolicy` is 'Never'")


def restart_rules(found: Findings, path: str, one: Container) -> None:
    policy, rules = one.get("restartPolicy"), one.get("restartPolicyRules") or []
    if policy is None:
        if not rules:
            return
        found.required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used")
    else:
        found.one_of(f"{path}.restartPolicy", policy, ("Always", "Never", "OnFailure"))
    if len(rules) > 20:
        found.too_many(f"{path}.restartPolicyRules", len(rules), 20)
    for at, rule in enumerate(rules):
        here = f"{path}.restartPolicyRules[{at}]"
        found.one_of(f"{here}.action", rule.get("action", ""), ("Restart", "RestartAllContainers"))
        codes = rule.get("exitCodes")
        if codes is None:
            found.required(f"{here}.exitCodes", "must be specified")
            continue
        found.one_of(f"{here}.exitCodes.operator", codes.get("operator", ""), ("In", "NotIn"))
        if len(codes.get("values") or ()) > 255:
            found.too_many(f"{here}.exitCodes.values", len(codes["values"]), 255)


def _lifecycle(found: Findings, path: str, lifecycle: Mapping[str, Any] | None, pod: PodFacts) -> None:
    for key in ("postStart", "preStop"):
        if lifecycle is not None and lifecycle.get(key) is not None:
            kinds = ("exec", "httpGet", "tcpSocket", "sleep")
            _handler(found, f"{path}.{key}", lifecycle[key], kinds, pod.grace_period)


def _probes(found: Findings, path: str, one: Container) -> None:
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = one.get(key)
        if probe is None:
            continue
        here = f"{path}.{key}"
        _handler(found, here, probe, ("exec", "httpGet", "tcpSocket", "grpc"), None)
        for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
            found.not_negative(f"{here}.{name}", probe.get(name))
        grace = probe.get("terminationGracePeriodSeconds")
        if grace is not None and grace <= 0:
            found.invalid(f"{here}.terminationGracePeriodSeconds", grace, "must be greater than 0")
        if key != "readinessProbe" and probe.get("successThreshold", 0) != 1:
            found.invalid(f"{here}.successThreshold", probe.get("successThreshold", 0), "must be 1")
        elif key == "readinessProbe" and grace is not None:
            found.invalid(f"{here}.terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")


def _handler(
    found: Findings, path: str, handler: Mapping[str, Any], kinds: Sequence[str], grace_period: int | None
) -> None:
    seen = False
    for kind in kinds:
        action = handler.get(kind)
        if action is None:
            continue
        here = f"{path}.{kind}"
        if seen:
            found.forbidden(here, "may not specify more than 1 handler type")
            continue
        seen = True
        if kind == "exec":
            if not action.get("command"):
                found.required(f"{here}.command")
        elif kind == "httpGet":
            _http_get(found, here, action)
        elif kind == "tcpSocket":
            port_number_or_name(found, f"{here}.port", action.get("port"))
        elif kind == "grpc":
            port_number(found, f"{here}.port", action.get("port", 0))
        elif kind == "sleep" and grace_period is not None:
            seconds = action.get("seconds", 0)
            if not 0 <= seconds <= grace_period:
                text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_period})"
                found.invalid(here, seconds, text)
    if not seen:
        found.required(path, "must specify a handler type")


def _http_get(found: Findings, path: str, action: Mapping[str, Any]) -> None:
    if not action.get("path"):
        found.required(f"{path}.path")
    port_number_or_name(found, f"{path}.port", action.get("port"))
    found.one_of(f"{path}.scheme", action.get("scheme", ""), ("HTTP", "HTTPS"))
    for header in action.get("httpHeaders") or ():
        found.check(f"{path}.httpHeaders", header.get("name", ""), is_http_header_name)

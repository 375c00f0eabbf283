"""The checks of the baseline level (k8s.io/pod-security-admission/policy), by name and by the version they begin with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ledger.admission.podsecurity.pod import (
    Check,
    Violation,
    bad_containers,
    containers,
    context_of,
    has_user_namespace,
    named,
    plural,
    quoted_list,
    setters,
)
from ledger.apimachinery.field import quoted
from ledger.apimachinery.resource import Object

Annotations = Mapping[str, str]
CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
SYSCTLS_FROM = {
    0: "kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.tcp_syncookies net.ipv4.ping_group_range"
    " net.ipv4.ip_unprivileged_port_start",
    27: "net.ipv4.ip_local_reserved_ports",
    29: "net.ipv4.tcp_keepalive_time net.ipv4.tcp_fin_timeout net.ipv4.tcp_keepalive_intvl"
    " net.ipv4.tcp_keepalive_probes",
    32: "net.ipv4.tcp_rmem net.ipv4.tcp_wmem",
    37: "net.ipv4.tcp_slow_start_after_idle net.ipv4.tcp_notsent_lowat",
}
SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t")
APPARMOR_PREFIX = "container.apparmor.security.beta.kubernetes.io/"
SECCOMP_POD, SECCOMP_CONTAINER = (
    "seccomp.security.alpha.kubernetes.io/pod",
    "container.seccomp.security.alpha.kubernetes.io/",
)
PROFILE_TYPES = ("RuntimeDefault", "Localhost")


def app_armor(spec: Object, annotations: Annotations) -> Violation | None:
    types: set[str] = set()

    def is_bad(context: Object) -> bool:
        profile = context.get("appArmorProfile")
        if profile is None or profile.get("type") in PROFILE_TYPES:
            return False
        types.add(profile.get("type", ""))
        return True

    by = setters(is_bad(context_of(spec)), bad_containers(spec, is_bad))
    noted = sorted(
        f"{name}={quoted(value)}"
        for name, value in annotations.items()
        if name.startswith(APPARMOR_PREFIX) and value not in ("", "runtime/default") and value[:10] != "localhost/"
    )
    values = [*sorted(types), *noted]
    by = " and ".join(one for one in (by, plural(len(noted), "annotation") if noted else "") if one)
    if not by:
        return None
    reason = plural(len(values), "forbidden AppArmor profile")
    return Violation(reason, f"{by} must not set AppArmor profile type to {quoted_list(values)}")


def capabilities(spec: Object, _: Annotations) -> Violation | None:
    added: set[str] = set()

    def is_bad(context: Object) -> bool:
        extra = set((context.get("capabilities") or {}).get("add") or ()) - CAPABILITIES
        added.update(extra)
        return bool(extra)

    bad = bad_containers(spec, is_bad)
    if not bad:
        return None
    what = f"must not include {quoted_list(sorted(added))} in securityContext.capabilities.add"
    return Violation("non-default capabilities", f"{named(bad)} {what}")


def host_namespaces(spec: Object, _: Annotations) -> Violation | None:
    used = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    return Violation("host namespaces", ", ".join(used)) if used else None


def host_path_volumes(spec: Object, _: Annotations) -> Violation | None:
    bad = [one["name"] for one in spec.get("volumes") or () if one.get("hostPath") is not None]
    return Violation("hostPath volumes", named(bad, "volume")) if bad else None


def host_ports(spec: Object, _: Annotations) -> Violation | None:
    used = {one["name"]: [port["hostPort"] for port in one.get("ports") or () if port.get("hostPort")]
            for one in containers(spec)}  # fmt: skip
    bad = [name for name, ports in used.items() if ports]
    if not bad:
        return None
    ports = sorted({str(port) for some in used.values() for port in some})
    what = f"{plural(len(bad), 'uses', 'use')} {plural(len(ports), 'hostPort')} {', '.join(ports)}"
    return Violation("hostPort", f"{named(bad)} {what}")


def probe_hosts(spec: Object, _: Annotations) -> Violation | None:
    used = {one["name"]: set(_hosts(one)) for one in containers(spec)}
    bad = sorted(name for name, hosts in used.items() if hosts)
    if not bad:
        return None
    hosts = sorted({host for some in used.values() for host in some})
    what = f"{plural(len(bad), 'uses', 'use')} {plural(len(hosts), 'probe or lifecycle host')} {quoted_list(hosts)}"
    return Violation("probe or lifecycle host", f"{named(bad)} {what}")


def _hosts(container: Object) -> Iterator[str]:
    lifecycle = container.get("lifecycle") or {}
    handlers = [container.get(name) for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    for handler in [*handlers, lifecycle.get("postStart"), lifecycle.get("preStop")]:
        for kind in ("httpGet", "tcpSocket"):
            host = ((handler or {}).get(kind) or {}).get("host")
            if host:
                yield host


def privileged(spec: Object, _: Annotations) -> Violation | None:
    bad = bad_containers(spec, lambda context: bool(context.get("privileged")))
    return Violation("privileged", f"{named(bad)} must not set securityContext.privileged=true") if bad else None


def proc_mount(spec: Object, _: Annotations) -> Violation | None:
    types: set[str] = set()

    def is_bad(context: Object) -> bool:
        mount = context.get("procMount")
        if mount in (None, "Default"):
            return False
        types.add(mount)
        return True

    bad = bad_containers(spec, is_bad)
    what = f"must not set securityContext.procMount to {quoted_list(sorted(types))}"
    return Violation("procMount", f"{named(bad)} {what}") if bad else None


def proc_mount_relaxed(spec: Object, annotations: Annotations) -> Violation | None:
    return None if has_user_namespace(spec) else proc_mount(spec, annotations)


def se_linux(allowed: tuple[str, ...]) -> Check:
    def check(spec: Object, _: Annotations) -> Violation | None:
        types: set[str] = set()
        told: dict[str, None] = {}

        def is_bad(context: Object) -> bool:
            options = context.get("seLinuxOptions") or {}
            wrong = options.get("type", "") not in allowed
            if wrong:
                types.add(options["type"])
            named_parts = [part for part in ("user", "role") if options.get(part)]
            told.update(dict.fromkeys(named_parts))
            return wrong or bool(named_parts)

        by = setters(is_bad(context_of(spec)), bad_containers(spec, is_bad))
        if not by:
            return None
        data = [f"{plural(len(types), 'type')} {quoted_list(sorted(types))}"] if types else []
        data += [f"{part} may not be set" for part in ("user", "role") if part in told]
        return Violation("seLinuxOptions", f"{by} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}")

    return check


def seccomp_annotations(spec: Object, annotations: Annotations) -> Violation | None:
    names = [SECCOMP_POD, *(f"{SECCOMP_CONTAINER}{one['name']}" for one in containers(spec))]
    bad = sorted(
        f"{name}={quoted(annotations[name])}"
        for name in names
        if name in annotations
        and annotations[name] not in ("runtime/default", "docker/default")
        and not annotations[name].startswith("localhost/")
    )
    return Violation("seccompProfile", f"forbidden {plural(len(bad), 'annotation')} {', '.join(bad)}") if bad else None


def seccomp(spec: Object, _: Annotations) -> Violation | None:
    types: set[str] = set()

    def is_bad(context: Object) -> bool:
        profile = context.get("seccompProfile")
        if profile is None or profile.get("type") in PROFILE_TYPES:
            return False
        types.add(profile.get("type", ""))
        return True

    by = setters(is_bad(context_of(spec)), bad_containers(spec, is_bad))
    what = f"must not set securityContext.seccompProfile.type to {quoted_list(sorted(types))}"
    return Violation("seccompProfile", f"{by} {what}") if by else None


def sysctls(minor: int) -> Check:
    allowed = {name for since, names in SYSCTLS_FROM.items() if since <= minor for name in names.split()}

    def check(spec: Object, _: Annotations) -> Violation | None:
        bad = [one["name"] for one in context_of(spec).get("sysctls") or () if one["name"] not in allowed]
        return Violation("forbidden sysctls", ", ".join(bad)) if bad else None

    return check


def windows_host_process(spec: Object, _: Annotations) -> Violation | None:
    def is_bad(context: Object) -> bool:
        return bool((context.get("windowsOptions") or {}).get("hostProcess"))

    by = setters(is_bad(context_of(spec)), bad_containers(spec, is_bad))
    what = "must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", f"{by} {what}") if by else None


# name: {minor version from which it holds: check}
BASELINE: dict[str, dict[int, Check]] = {
    "appArmorProfile": {0: app_armor},
    "capabilities_baseline": {0: capabilities},
    "hostNamespaces": {0: host_namespaces},
    "hostPathVolumes": {0: host_path_volumes},
    "hostPorts": {0: host_ports},
    "hostProbesAndHostLifecycle": {34: probe_hosts},
    "privileged": {0: privileged},
    "procMount": {0: proc_mount, 35: proc_mount_relaxed},
    "seLinuxOptions": {0: se_linux(SELINUX_TYPES), 31: se_linux((*SELINUX_TYPES, "container_engine_t"))},
    "seccompProfile_baseline": {0: seccomp_annotations, 19: seccomp},
    "sysctls": {since: sysctls(since) for since in SYSCTLS_FROM},
    "windowsHostProcess": {0: windows_host_process},
}

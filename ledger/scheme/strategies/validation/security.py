"""Security contexts of pods and containers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ledger.apimachinery.names import is_dns1123_subdomain
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.volume_files import local_path, user_id

Context = Mapping[str, Any]
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SYSCTL = re.compile(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?")
_SYSCTL_SHOWN = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"


def of_container(found: Findings, path: str, context: Context | None, host_users: bool, sys_admin: bool) -> None:
    """ValidateSecurityContext; privileged containers are allowed, as with --allow-privileged."""
    if context is None:
        return
    user_id(found, f"{path}.runAsUser", context.get("runAsUser"))
    user_id(found, f"{path}.runAsGroup", context.get("runAsGroup"))
    mount = context.get("procMount")
    if mount is not None:
        found.one_of(f"{path}.procMount", mount, ("Default", "Unmasked"))
        if host_users and mount == "Unmasked":
            found.invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`")
    seccomp(found, f"{path}.seccompProfile", context.get("seccompProfile"))
    if context.get("allowPrivilegeEscalation") is False:
        refused = "cannot set `allowPrivilegeEscalation` to false and"
        if context.get("privileged"):
            found.invalid(path, go_value("core.SecurityContext", context), f"{refused} `privileged` to true")
        if not sys_admin:
            for capability in (context.get("capabilities") or {}).get("add") or ():
                if capability == "CAP_SYS_ADMIN":
                    shown = go_value("core.SecurityContext", context)
                    found.invalid(path, shown, f"{refused} `capabilities.Add` CAP_SYS_ADMIN")
    windows_options(found, f"{path}.windowsOptions", context.get("windowsOptions"))
    apparmor(found, f"{path}.appArmorProfile", context.get("appArmorProfile"))


def of_pod(found: Findings, path: str, context: Context | None, spec: Mapping[str, Any], host_sysctls: bool) -> None:
    if context is None:
        return
    for key in ("fsGroup", "runAsUser", "runAsGroup"):
        user_id(found, f"{path}.{key}", context.get(key))
    for at, group in enumerate(context.get("supplementalGroups") or ()):
        user_id(found, f"{path}.supplementalGroups[{at}]", group)
    _sysctls(found, f"{path}.sysctls", context.get("sysctls") or (), spec, host_sysctls)
    if context.get("fsGroupChangePolicy") is not None:
        found.one_of(f"{path}.fsGroupChangePolicy", context["fsGroupChangePolicy"], ("Always", "OnRootMismatch"))
    seccomp(found, f"{path}.seccompProfile", context.get("seccompProfile"))
    windows_options(found, f"{path}.windowsOptions", context.get("windowsOptions"))
    apparmor(found, f"{path}.appArmorProfile", context.get("appArmorProfile"))
    if context.get("supplementalGroupsPolicy") is not None:
        found.one_of(f"{path}.supplementalGroupsPolicy", context["supplementalGroupsPolicy"], ("Merge", "Strict"))
    if context.get("seLinuxChangePolicy") is not None:
        found.one_of(f"{path}.seLinuxChangePolicy", context["seLinuxChangePolicy"], ("MountOption", "Recursive"))


def _sysctls(found: Findings, path: str, ones: Any, spec: Mapping[str, Any], host_sysctls: bool) -> None:
    names: set[str] = set()
    for at, one in enumerate(ones):
        here, name = f"{path}[{at}].name", one.get("name", "")
        if not name:
            found.required(here)
        elif len(name) > 253 or not _SYSCTL.fullmatch(name):
            found.invalid(here, name, f"must have at most 253 characters and match regex {_SYSCTL_SHOWN}")
        elif name in names:
            found.duplicate(here, name)
        if not host_sysctls:
            host_sysctl(found, here, name, spec)
        names.add(name)


def host_sysctl(found: Findings, path: str, name: str, spec: Mapping[str, Any]) -> None:
    """A pod in the host's network or IPC namespace may not change what is the host's."""
    dotted = name.replace("/", ".")
    if spec.get("hostNetwork") and dotted.startswith("net."):
        found.invalid(path, name, "may not be specified when 'hostNetwork' is true")
    elif spec.get("hostIPC") and dotted.startswith(("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")):
        found.invalid(path, name, "may not be specified when 'hostIPC' is true")


def seccomp(found: Findings, path: str, profile: Context | None) -> None:
    if profile is None:
        return
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        found.required(f"{path}.type", "type is required when seccompProfile is set")
    else:
        found.one_of(f"{path}.type", kind, _PROFILES)
    if kind == "Localhost":
        if local is None:
            found.required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost")
        else:
            local_path(found, f"{path}.localhostProfile", local)
    elif local is not None:
        shown = go_value("core.SeccompProfile", profile)
        found.invalid(f"{path}.localhostProfile", shown, "can only be set when seccomp type is Localhost")


def apparmor(found: Findings, path: str, profile: Context | None) -> None:
    if profile is None:
        return
    kind, local, at = profile.get("type", ""), profile.get("localhostProfile"), f"{path}.localhostProfile"
    if kind == "Localhost":
        if local is None or not local:
            found.required(at, "must be set when AppArmor type is Localhost")
        elif local != local.strip():
            found.invalid(at, local, "must not be padded with whitespace")
        if local is not None and len(local.encode()) > 4095:
            found.too_long(at, 4095)
    elif kind in _PROFILES:
        if local is not None:
            found.invalid(at, local, "can only be set when AppArmor type is Localhost")
    elif not kind:
        found.required(f"{path}.type", "type is required when appArmorProfile is set")
    else:
        found.not_supported(f"{path}.type", kind, _PROFILES)


_DNS_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DOMAIN_DNS = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*")
_NET_BIOS = re.compile(r"""[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}""")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BAD_USER = re.compile(r"""["/\\:;|=,+*?<>@\[\]]""")


def windows_options(found: Findings, path: str, options: Context | None) -> None:
    if options is None:
        return
    if options.get("gmsaCredentialSpecName") is not None:
        found.check(f"{path}.gmsaCredentialSpecName", options["gmsaCredentialSpecName"], is_dns1123_subdomain)
    spec = options.get("gmsaCredentialSpec")
    if spec is not None:
        if not spec:
            found.invalid(f"{path}.gmsaCredentialSpec", spec, "gmsaCredentialSpec cannot be an empty string")
        elif len(spec.encode()) > 64 * 1024:
            found.invalid(f"{path}.gmsaCredentialSpec", spec, "gmsaCredentialSpec size must be under 64 KiB")
    name = options.get("runAsUserName")
    if name is not None:
        for text in _windows_user(name):
            found.invalid(f"{path}.runAsUserName", name, text)


def _windows_user(name: str) -> list[str]:
    if not name:
        return ["runAsUserName cannot be an empty string"]
    if _CONTROL.search(name):
        return ["runAsUserName cannot contain control characters"]
    if name.count("\\") > 1:
        return ["runAsUserName cannot contain more than one backslash"]
    domain, slash, user = name.rpartition("\\")
    complaints = []
    if len(domain) >= 256:
        complaints.append("runAsUserName's Domain length must be under 256 characters")
    if slash and not _NET_BIOS.fullmatch(domain) and not _DOMAIN_DNS.fullmatch(domain):
        complaints.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        complaints.append("runAsUserName's User cannot be empty")
    elif len(user) > 104:
        complaints.append("runAsUserName's User length must not be longer than 104 characters")
    if user and not user.strip(". "):
        complaints.append("runAsUserName's User cannot contain only periods or spaces")
    if _BAD_USER.search(user):
        complaints.append("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
    return complaints

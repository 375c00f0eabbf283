"""Warnings about pods and their templates, volumes, and addresses that are not in their usual form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from typing import Any

from ledger.apimachinery.field import quoted
from ledger.apimachinery.names import is_label_value
from ledger.apimachinery.quantity import parse
from ledger.apimachinery.resource import Object
from ledger.scheme.strategies.containers_of import visit
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.prepare_pods import app_armor_profile
from ledger.scheme.strategies.validation.addresses import go_ip, parse_cidr, parse_ip

Spec = Mapping[str, Any]
_NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "ephemeral": "",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
# The same of persistent volumes, in the order and with the names they are told of there.
_PERSISTENT = ("cephfs", "photonPersistentDisk", "scaleIO", "storageos", "glusterfs", "rbd")
_SHOWN = {"storageos": "storageOS"}
_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_NO_POD = "a null labelSelector results in matching no pod"


def node_label_advice(label: str) -> str:
    return _NODE_LABELS.get(label, "")


def node_term_advice(path: str, term: Spec, check_values: bool = False) -> list[str]:
    found = []
    for at, one in enumerate(term.get("matchExpressions") or ()):
        key, here = one.get("key", ""), f"{path}.matchExpressions[{at}]"
        if key in _NODE_LABELS:
            found.append(f"{here}.key: {key} is {_NODE_LABELS[key]}")
        for index, value in enumerate(one.get("values") or () if check_values else ()):
            found += [f"{here}.values[{index}]: {value} is invalid, {text}" for text in is_label_value(value)]
    return found


def addresses(path: str, texts: str | Iterable[str] | None) -> list[str]:
    """About an address, or each of a list of them."""
    if isinstance(texts, str):
        return _address(path, texts)
    return [warning for at, text in enumerate(texts or ()) for warning in _address(f"{path}[{at}]", text)]


def _address(path: str, text: str) -> list[str]:
    address = parse_ip(text)
    if address is None or (str(address) == text and getattr(address, "ipv4_mapped", None) is None):
        return []
    if isinstance(address, IPv4Address) or address.ipv4_mapped:
        return [f"{path}: non-standard IP address {quoted(text)} is invalid: use {quoted(go_ip(address))}"]
    shown = quoted(str(address))
    return [f"{path}: IPv6 address {quoted(text)} should be in RFC 5952 canonical format ({shown})"]


def networks(path: str, texts: str | Iterable[str] | None) -> list[str]:
    """About a network, or each of a list of them."""
    if isinstance(texts, str):
        return _network(path, texts)
    return [warning for at, text in enumerate(texts or ()) for warning in _network(f"{path}[{at}]", text)]


def _network(path: str, text: str) -> list[str]:
    network, found = parse_cidr(text), []
    base, _, length = text.partition("/")
    address = parse_ip(base)
    if network is None or address is None:
        return []
    if address != network.network_address:
        single = quoted(f"{go_ip(address)}/{network.max_prefixlen}")
        choice = f"(should be {quoted(str(network))} or {single}?)"
        found.append(f"{path}: CIDR value {quoted(text)} is ambiguous in this context {choice}")
    zeros = (isinstance(address, IPv4Address) and str(address) != base) or length != str(int(length))
    if zeros or getattr(address, "ipv4_mapped", None) is not None:
        found.append(f"{path}: non-standard CIDR value {quoted(text)} is invalid: use {quoted(str(network))}")
    if not found and network.version == 6 and str(network) != text:
        shown = quoted(str(network))
        found.append(f"{path}: IPv6 CIDR value {quoted(text)} should be in RFC 5952 canonical format ({shown})")
    return found


def claim_advice(path: str, spec: Spec) -> list[str]:
    """About the spec of a claim."""
    found: list[str] = []
    for key in ("requests", "limits"):
        found += _fraction(f"{path}.resources.{key}", get(spec, f"resources.{key}"), ("storage",))
    return found


def _fraction(path: str, amounts: Spec | None, names: Iterable[str]) -> list[str]:
    found = []
    for name in names:
        amount = parse(str((amounts or {}).get(name, "0")))
        if amount.value(-3) % 1000:
            shown = quoted(str(amount))
            found.append(f"{path}[{name}]: fractional byte value {shown} is invalid, must be an integer")
    return found


def volume_advice(obj: Object) -> list[str]:
    """About a PersistentVolume."""
    spec, annotations, found = obj.get("spec") or {}, get(obj, "metadata.annotations", {}), []
    for key, since, field in (
        ("storage-class", "v1.8", "storageClassName"),
        ("mount-options", "v1.31", "mountOptions"),
    ):
        name = f"volume.beta.kubernetes.io/{key}"
        if name in annotations:
            found.append(f'metadata.annotations[{name}]: deprecated since {since}; use "{field}" attribute instead')
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        text = "Instead, the recommended approach is to use dynamic provisioning."
        found.append(f"spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. {text}")
    for at, term in enumerate(get(spec, "nodeAffinity.required.nodeSelectorTerms", [])):
        found += node_term_advice(f"spec.nodeAffinity.required.nodeSelectorTerms[{at}]", term)
    return found + [f"spec.{_SHOWN.get(key, key)}: {_VOLUMES[key]}" for key in _PERSISTENT if spec.get(key) is not None]


def template_advice(path: str, metadata: Spec, spec: Spec) -> list[str]:
    """About a pod, or the template of pods at `path`."""
    base = f"{path}." if path else ""
    at = f"{base}spec"
    found = _scheduling_advice(at, spec)
    annotations = metadata.get("annotations") or {}
    found += [f"{base}metadata.annotations[{key}]: {text}" for key, text in _ANNOTATIONS.items() if key in annotations]
    found += _volumes_advice(f"{at}.volumes", spec.get("volumes") or ())
    found += _lists_advice(at, spec)
    found += _fraction(f"{at}.overhead", spec.get("overhead"), ("memory", "ephemeral-storage"))
    pod_seccomp = "seccomp.security.alpha.kubernetes.io/pod"
    if get(spec, "securityContext.seccompProfile") is None and pod_seccomp in annotations:
        found.append(f"{base}metadata.annotations[{pod_seccomp}]: {_SECCOMP}")
    for container, here in visit(spec, at):
        found += _container_advice(here, container, base, annotations, spec)
    found += _ports_advice(at, spec)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        found.append(f"{at}.terminationGracePeriodSeconds: {text}")
    for key in ("podAffinity", "podAntiAffinity"):
        found += _affinity_advice(f"{at}.affinity.{key}", get(spec, f"affinity.{key}", {}))
    found += addresses(f"{at}.dnsConfig.nameservers", get(spec, "dnsConfig.nameservers"))
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        found += addresses(f"{at}.hostAliases[{index}].ip", alias.get("ip", ""))
    return found


def _scheduling_advice(path: str, spec: Spec) -> list[str]:
    labels = spec.get("nodeSelector") or {}
    found = [f"{path}.nodeSelector[{key}]: {_NODE_LABELS[key]}" for key in labels if key in _NODE_LABELS]
    affinity, here = get(spec, "affinity.nodeAffinity", {}), f"{path}.affinity.nodeAffinity"
    required, preferred = (f"{word}DuringSchedulingIgnoredDuringExecution" for word in ("required", "preferred"))
    for at, term in enumerate(get(affinity, f"{required}.nodeSelectorTerms", [])):
        found += node_term_advice(f"{here}.{required}.nodeSelectorTerms[{at}]", term)
    for at, term in enumerate(affinity.get(preferred) or ()):
        found += node_term_advice(f"{here}.{preferred}[{at}].preference", term.get("preference") or {}, True)
    for at, one in enumerate(spec.get("topologySpreadConstraints") or ()):
        key, here = one.get("topologyKey", ""), f"{path}.topologySpreadConstraints[{at}]"
        if key in _NODE_LABELS:
            found.append(f"{here}.topologyKey: {key} is {_NODE_LABELS[key]}")
        if one.get("labelSelector") is None:
            found.append(f"{here}.labelSelector: {_NO_POD}")
    return found


def _affinity_advice(path: str, affinity: Spec) -> list[str]:
    found = []
    required, preferred = (f"{word}DuringSchedulingIgnoredDuringExecution" for word in ("required", "preferred"))
    for at, term in enumerate(affinity.get(required) or ()):
        if term.get("labelSelector") is None:
            found.append(f"{path}.{required}[{at}].labelSelector: {_NO_POD}")
    for at, term in enumerate(affinity.get(preferred) or ()):
        if get(term, "podAffinityTerm.labelSelector") is None:
            found.append(f"{path}.{preferred}[{at}].podAffinityTerm.labelSelector: {_NO_POD}")
    return found


def _volumes_advice(path: str, volumes: Iterable[Spec]) -> list[str]:
    found, overlaps = [], []
    for at, volume in enumerate(volumes):
        for key, text in _VOLUMES.items():
            if volume.get(key) is None:
                continue
            if key == "ephemeral":
                here = f"{path}[{at}].ephemeral.volumeClaimTemplate.spec"
                found += claim_advice(here, get(volume, "ephemeral.volumeClaimTemplate.spec", {}))
            else:
                found.append(f"{path}[{at}].{_SHOWN.get(key, key)}: {text}")
        overlaps += _overlaps(volume)
    return found + overlaps


def _lists_advice(path: str, spec: Spec) -> list[str]:
    """Names that are there twice, or are empty."""
    found = []
    for key, field, what in (("hostAliases", "ip", "ip"), ("imagePullSecrets", "name", "name")):
        names = [one.get(field, "") for one in spec.get(key) or ()]
        for at, name in enumerate(names):
            if name in names[:at]:
                found.append(f"{path}.{key}[{at}].{field}: duplicate {what} {quoted(name)}")
    for at, one in enumerate(spec.get("imagePullSecrets") or ()):
        if not one.get("name"):
            found.append(f'{path}.imagePullSecrets[{at}].name: invalid empty name ""')
    return found


def _container_advice(path: str, container: Spec, base: str, annotations: Spec, spec: Spec) -> list[str]:
    found, name = [], container.get("name", "")
    seccomp = f"container.seccomp.security.alpha.kubernetes.io/{name}"
    if get(container, "securityContext.seccompProfile") is None and seccomp in annotations:
        found.append(f"{base}metadata.annotations[{seccomp}]: {_SECCOMP}")
    armor = f"container.apparmor.security.beta.kubernetes.io/{name}"
    if base and armor in annotations and get(container, "securityContext.appArmorProfile") is None:
        ours = get(spec, "securityContext.appArmorProfile")
        if ours is None or ours != app_armor_profile(annotations[armor]):
            text = 'deprecated since v1.30; use the "appArmorProfile" field instead'
            found.append(f"{base}metadata.annotations[{armor}]: {text}")
    for amount in ("memory", "ephemeral-storage"):
        for key in ("limits", "requests"):
            found += _fraction(f"{path}.resources.{key}", get(container, f"resources.{key}"), (amount,))
    return found + _env_advice(f"{path}.env", container.get("env") or ())


def _env_advice(path: str, env: Iterable[Spec]) -> list[str]:
    found: list[str] = []
    seen: set[str] = set()
    for at, one in enumerate(env):
        name, value = one.get("name", ""), one.get("value", "")
        reference = f"$({name})"
        hides = one.get("valueFrom") is not None or value == reference or reference not in value
        if name in seen and hides:
            text = f"hides previous definition of {quoted(name)}, which may be dropped when using apply"
            found.append(f"{path}[{at}]: {text}")
        seen.add(name)
    return found


def _ports_advice(path: str, spec: Spec) -> list[str]:
    found: list[str] = []
    names: dict[str, str] = {}
    known: dict[tuple[int, str], list[tuple[str, str, int]]] = {}
    clashes: list[str] = []
    for container, here in visit(spec, path):
        for at, port in enumerate(container.get("ports") or ()):
            place, name = f"{here}.ports[{at}]", port.get("name", "")
            number, protocol = port.get("containerPort", 0), port.get("protocol", "")
            host_ip, host_port = port.get("hostIP", ""), port.get("hostPort", 0)
            if host_ip and not host_port:
                shown = f"{{Name:{name} HostPort:0 ContainerPort:{number} Protocol:{protocol} HostIP:{host_ip}}}"
                found.append(f"{place}: hostIP set without hostPort: {shown}")
            others = known.setdefault((number, protocol), [])
            found += [f"{place}: {text}" for other in others if (text := _port_clash(host_ip, host_port, other))]
            others.append((place, host_ip, host_port))
            if name in names:
                first = names[name]
                users = f"services and probes that select ports by name will use {first}"
                clashes.append(f"{place}: duplicate port name {quoted(name)} with {first}, {users}")
            elif name:
                names[name] = place
    return found + clashes


def _port_clash(host_ip: str, host_port: int, other: tuple[str, str, int]) -> str:
    place, other_ip, other_port = other
    if host_ip == other_ip and host_port == other_port:
        return f"duplicate port definition with {place}"
    if not host_port or not other_port:
        return f"overlapping port definition with {place}"
    if host_port == other_port and bool(host_ip) != bool(other_ip):
        return f"dangerously ambiguous port definition with {place}"
    return ""


def _overlaps(volume: Spec) -> list[str]:
    """Files of one volume that are in each other's way."""
    name, found = quoted(volume.get("name", "")), []
    for key, shown, title in (("configMap", "name", "ConfigMap"), ("secret", "secretName", "Secret")):
        source = volume.get(key) or {}
        what = f"{title} {quoted(source.get(shown, ''))}"
        found += [f"volume {name} ({what}): overlapping paths: {text}" for text in _clashes(_items(source, ""))]
    texts = _clashes(_items(volume.get("downwardAPI") or {}, ""))
    found += [f"volume {name} (DownwardAPI): overlapping paths: {text}" for text in texts]
    if volume.get("projected") is None:
        return found
    files: list[tuple[str, str]] = []
    for source in volume["projected"].get("sources") or ():
        if not any(value is not None for value in source.values()):
            found.append(f"volume {name} (Projected) has no sources provided")
        files += _projected(source)
    return found + [f"volume {name} (Projected): overlapping paths: {text}" for text in _clashes(files)]


def _items(source: Spec, what: str) -> list[tuple[str, str]]:
    return [(item.get("path", ""), what) for item in source.get("items") or ()]


def _projected(source: Spec) -> list[tuple[str, str]]:
    for key, title in (("configMap", "ConfigMap"), ("secret", "Secret")):
        one = source.get(key)
        if one is not None and one.get("items") is not None:
            return _items(one, f"{title} {quoted(one.get('name', ''))}")
    if get(source, "downwardAPI.items") is not None:
        return _items(source["downwardAPI"], "DownwardAPI")
    if source.get("serviceAccountToken") is not None:
        return [(source["serviceAccountToken"].get("path", ""), "ServiceAccountToken")]
    bundle, certificate = source.get("clusterTrustBundle"), source.get("podCertificate")
    if bundle is not None:
        name = bundle["name"] if bundle.get("name") is not None else bundle.get("signerName", "")
        return [(bundle.get("path", ""), f"ClusterTrustBundle {quoted(name)}")]
    keys = {"certificateChainPath": "chain", "keyPath": "key", "credentialBundlePath": "credential bundle"}
    if certificate is None:
        return []
    return [(certificate[key], f"PodCertificate {what}") for key, what in keys.items() if certificate.get(key)]


def _clashes(files: Iterable[tuple[str, str]]) -> list[str]:
    found: list[str] = []
    before: list[tuple[str, str]] = []
    for path, source in files:
        path = path.rstrip("/")
        for other in before if path else ():
            inside = f"{other[0]}/".startswith(f"{path}/") or f"{path}/".startswith(f"{other[0]}/")
            if other[0] and inside:
                found.append(f"{_place((path, source))} with {_place(other)}")
        before.append((path, source))
    return found


def _place(file: tuple[str, str]) -> str:
    path, source = file
    return f"{quoted(path)} ({source})" if source else quoted(path)

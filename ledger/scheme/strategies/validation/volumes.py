"""Where volumes come from: the sources of pod volumes and of persistent volumes, one rule for each.

The tables at the end hold them in the order kube-apiserver goes through them; the first source found is the one that
counts, any further one is "more than 1 volume type".
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ledger.apimachinery.names import (
    FORMATS,
    is_dns1123_label,
    is_dns1123_subdomain,
    is_qualified_name,
)
from ledger.scheme.strategies.validation.claims import claim_template
from ledger.scheme.strategies.validation.common import (
    is_kubernetes_signer,
    label_selector,
    signer_name,
    trust_bundle_name,
)
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.resources import ZERO, amount

Source = Mapping[str, Any]
Rule = Callable[[Findings, str, Source], None]

FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_MORE = "may not specify more than 1 volume type"
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)


def only_one_source(found: Findings, path: str, source: Source, table: Sequence[tuple[str, str, str, Rule]]) -> None:
    """Apply the rule of the first source there is; refuse the others."""
    seen = False
    for key, label, below, rule in table:
        if source.get(key) is None:
            continue
        if seen:
            found.forbidden(f"{path}.{label}", _MORE)
        else:
            seen = True
            rule(found, f"{path}.{below}", source[key])
    if not seen:
        found.required(path, "must specify a volume type")


def needs(*keys: str) -> Rule:
    """A source whose only rule is that these fields are there."""

    def rule(found: Findings, path: str, source: Source) -> None:
        for key in keys:
            if not source.get(key):
                found.required(f"{path}.{key}")

    return rule


def with_secret(rule: Rule, *keys: str) -> Rule:
    """The same, with a reference to a secret that names these."""

    def both(found: Findings, path: str, source: Source) -> None:
        rule(found, path, source)
        if source.get("secretRef") is not None:
            for key in keys:
                if not source["secretRef"].get(key):
                    found.required(f"{path}.secretRef.{key}")

    return both


def no_backsteps(found: Findings, path: str, target: str) -> None:
    if ".." in target.split("/"):
        found.invalid(path, target, "must not contain '..'")


def local_path(found: Findings, path: str, target: str) -> None:
    if target.startswith("/"):
        found.invalid(path, target, "must be a relative path")
    no_backsteps(found, path, target)


def local_non_reserved_path(found: Findings, path: str, target: str) -> None:
    local_path(found, path, target)
    if target.startswith("..") and not target.startswith("../"):
        found.invalid(path, target, "must not start with '..'")


def mode(found: Findings, path: str, value: int | None) -> None:
    if value is not None and not 0 <= value <= 0o777:
        found.invalid(path, value, FILE_MODE)


def user_id(found: Findings, path: str, value: int | None) -> None:
    if value is not None and not 0 <= value <= 2147483647:
        found.invalid(path, value, "must be between 0 and 2147483647, inclusive")


def host_path(found: Findings, path: str, source: Source) -> None:
    if not source.get("path"):
        found.required(f"{path}.path")
        return
    no_backsteps(found, f"{path}.path", source["path"])
    if source.get("type") is not None:
        found.one_of(f"{path}.type", source["type"], _HOST_PATH_TYPES)


def empty_dir(found: Findings, path: str, source: Source) -> None:
    if source.get("sizeLimit") is not None and amount(source["sizeLimit"]) < ZERO:
        found.forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def git_repo(found: Findings, path: str, source: Source) -> None:
    needs("repository")(found, path, source)
    local_path(found, f"{path}.directory", source.get("directory", ""))


def partitioned(key: str) -> Rule:
    """A disk with partitions; the message speaks of 1 to 255, though 0 stands for the whole disk."""

    def rule(found: Findings, path: str, source: Source) -> None:
        needs(key)(found, path, source)
        if not 0 <= source.get("partition", 0) <= 255:
            found.invalid(f"{path}.partition", source["partition"], "must be between 1 and 255, inclusive")

    return rule


def key_to_path(found: Findings, path: str, item: Source) -> None:
    needs("key", "path")(found, path, item)
    local_non_reserved_path(found, f"{path}.path", item.get("path", ""))
    mode(found, f"{path}.mode", item.get("mode"))
    user_id(found, f"{path}.user", item.get("user"))


def secret(found: Findings, path: str, source: Source) -> None:
    needs("secretName")(found, path, source)
    _files(found, path, source)


def config_map(found: Findings, path: str, source: Source) -> None:
    needs("name")(found, path, source)
    _files(found, path, source)


def _files(found: Findings, path: str, source: Source) -> None:
    mode(found, f"{path}.defaultMode", source.get("defaultMode"))
    for at, item in enumerate(source.get("items") or ()):
        key_to_path(found, f"{path}.items[{at}]", item)


def nfs(found: Findings, path: str, source: Source) -> None:
    needs("server", "path")(found, path, source)
    if not source.get("path", "").startswith("/"):
        found.invalid(f"{path}.path", source.get("path", ""), "must be an absolute path")


def quobyte(found: Findings, path: str, source: Source) -> None:
    text = "must be a host:port pair or multiple pairs separated by commas"
    registry = source.get("registry", "")
    if not registry:
        found.required(f"{path}.registry", text)
    elif len(source.get("tenant", "")) >= 65:
        found.required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters")
    else:
        for pair in registry.split(","):
            if not re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*):[^:\[\]]*", pair):
                found.invalid(f"{path}.registry", registry, text)
    needs("volume")(found, path, source)


def glusterfs_persistent(found: Findings, path: str, source: Source) -> None:
    needs("endpoints", "path")(found, path, source)
    namespace = source.get("endpointsNamespace")
    if namespace == "":
        text = "if the endpointnamespace is set, it must be a valid namespace name"
        found.invalid(f"{path}.endpointsNamespace", namespace, text)
    elif namespace is not None:
        found.check(f"{path}.endpointsNamespace", namespace, is_dns1123_label)


def flocker(found: Findings, path: str, source: Source) -> None:
    name, uuid = source.get("datasetName", ""), source.get("datasetUUID", "")
    if not name and not uuid:
        found.required(path, "one of datasetName and datasetUUID is required")
    if name and uuid:
        found.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously")
    if "/" in name:
        found.invalid(f"{path}.datasetName", name, "must not contain '/'")


_IQN = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([A-Za-z0-9\-.]+)(:[^,;*&$|\s]+)$"),
    "eui": re.compile(r"^eui.[A-Za-z0-9]{16}$"),
    "naa": re.compile(r"^naa.[A-Za-z0-9]{32}$"),
}


def iscsi(found: Findings, path: str, source: Source, persistent: bool = False) -> None:
    needs("targetPortal")(found, path, source)
    if not source.get("iqn"):
        found.required(f"{path}.iqn")
    else:
        _iscsi_name(found, f"{path}.iqn", source["iqn"], persistent)
    found.in_range(f"{path}.lun", source.get("lun", 0), 0, 255)
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and source.get("secretRef") is None:
        found.required(f"{path}.secretRef")
    if persistent and source.get("secretRef") is not None and not source["secretRef"].get("name"):
        found.required(f"{path}.secretRef.name")
    if source.get("initiatorName") is not None:
        _iscsi_name(found, f"{path}.initiatorname", source["initiatorName"], persistent)


def _iscsi_name(found: Findings, path: str, name: str, persistent: bool) -> None:
    pattern = _IQN.get(name[:3])
    if pattern is None:
        starting = "" if persistent else " starting with iqn, eui, or naa"
        found.invalid(path, name, f"must be valid format{starting}")
    elif not pattern.search(name):
        found.invalid(path, name, "must be valid format")


def iscsi_persistent(found: Findings, path: str, source: Source) -> None:
    iscsi(found, path, source, persistent=True)


def fibre_channel(found: Findings, path: str, source: Source) -> None:
    names, ids = source.get("targetWWNs") or [], source.get("wwids") or []
    if not names and not ids:
        found.required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both")
    if names and ids:
        found.invalid(f"{path}.targetWWNs", names, "targetWWNs and wwids can not be specified simultaneously")
    if names:
        if source.get("lun") is None:
            found.required(f"{path}.lun", "lun is required if targetWWNs is specified")
        else:
            found.in_range(f"{path}.lun", source["lun"], 0, 255)


def flex_volume(found: Findings, path: str, source: Source) -> None:
    needs("driver")(found, path, source)
    for key in sorted(source.get("options") or ()):
        namespace = "." + key.partition("/")[0].lower()
        if namespace.endswith((".kubernetes.io", ".k8s.io")):
            found.invalid(f"{path}.options[{key}]", key, "kubernetes.io and k8s.io namespaces are reserved")


def azure_file_persistent(found: Findings, path: str, source: Source) -> None:
    needs("secretName", "shareName")(found, path, source)
    if source.get("secretNamespace") == "":
        found.required(f"{path}.secretNamespace")


def azure_disk(found: Findings, path: str, source: Source) -> None:
    needs("diskName", "diskURI")(found, path, source)
    if source.get("cachingMode") is not None:
        found.one_of(f"{path}.cachingMode", source["cachingMode"], ("None", "ReadOnly", "ReadWrite"))
    kind, uri = source.get("kind"), source.get("diskURI", "")
    if kind is not None:
        found.one_of(f"{path}.kind", kind, ("Dedicated", "Managed", "Shared"))
    managed = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
    blob = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        found.not_supported(f"{path}.diskURI", uri, (managed,))
    if kind is not None and kind != "Managed" and not uri.startswith("https://"):
        found.not_supported(f"{path}.diskURI", uri, (blob,))


def storage_os(found: Findings, path: str, source: Source) -> None:
    found.name(f"{path}.volumeName", source.get("volumeName", ""), is_dns1123_label)
    if source.get("volumeNamespace"):
        found.check(f"{path}.volumeNamespace", source["volumeNamespace"], is_dns1123_label)


def local(found: Findings, path: str, source: Source) -> None:
    if not source.get("path"):
        found.required(f"{path}.path")
    else:
        no_backsteps(found, f"{path}.path", source["path"])


def csi_driver_name(found: Findings, path: str, name: str) -> None:
    if not name:
        found.required(path)
        return
    if len(name) > 63:
        found.too_long(path, 63)
    for text in is_dns1123_subdomain(name.lower()):
        found.invalid(path, name, text)


def csi(found: Findings, path: str, source: Source) -> None:
    csi_driver_name(found, f"{path}.driver", source.get("driver", ""))
    reference = source.get("nodePublishSecretRef")
    if reference is not None:
        if not reference.get("name"):
            found.required(f"{path}.nodePublishSecretRef.name")
        else:
            found.check(f"{path}.name", reference["name"], is_dns1123_subdomain)


def csi_persistent(found: Findings, path: str, source: Source) -> None:
    csi_driver_name(found, f"{path}.driver", source.get("driver", ""))
    needs("volumeHandle")(found, path, source)
    for key in (
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ):
        if source.get(key) is not None:
            found.name(f"{path}.{key}.name", source[key].get("name", ""), is_dns1123_subdomain)
            found.name(f"{path}.{key}.namespace", source[key].get("namespace", ""), is_dns1123_label)


def ephemeral(found: Findings, path: str, source: Source) -> None:
    template = source.get("volumeClaimTemplate")
    if template is None:
        found.required(f"{path}.volumeClaimTemplate")
    else:
        claim_template(found, f"{path}.volumeClaimTemplate", template)


def image(found: Findings, path: str, source: Source) -> None:
    needs("reference")(found, path, source)
    pull_policy(found, f"{path}.pullPolicy", source.get("pullPolicy", ""))


def pull_policy(found: Findings, path: str, policy: str) -> None:
    found.one_of_required(path, policy, ("Always", "IfNotPresent", "Never"))


_VOLUME_FIELDS = ("metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid")
_ENV_FIELDS = (
    *("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName"),
    *("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"),
)
_SUBSCRIPT = re.compile(r"(.*)\['(.*)'\]", re.DOTALL)


def field_reference(found: Findings, path: str, reference: Source, volume: bool) -> None:
    """A field of the pod, in a volume or (otherwise) in the environment (validateObjectFieldSelector)."""
    for key in ("apiVersion", "fieldPath"):
        if not reference.get(key):
            found.required(f"{path}.{key}")
            return
    field_path = reference["fieldPath"]
    subscripted = _SUBSCRIPT.fullmatch(field_path)
    base = subscripted[1] if subscripted else field_path
    if reference["apiVersion"] != "v1":
        text = f"unsupported pod version: {reference['apiVersion']}"
        found.invalid(f"{path}.fieldPath", field_path, f"error converting fieldPath: {text}")
        return
    if subscripted and base not in ("metadata.annotations", "metadata.labels"):
        text = f"field label does not support subscript: {field_path}"
    else:
        text = "" if base in _KNOWN_LABELS else f"field label not supported: {base}"
    if text:
        found.invalid(f"{path}.fieldPath", field_path, f"error converting fieldPath: {text}")
        return
    field_path = "spec.nodeName" if field_path == "spec.host" else field_path
    expressions = _VOLUME_FIELDS if volume else _ENV_FIELDS
    if subscripted:
        key = subscripted[2].lower() if base == "metadata.annotations" else subscripted[2]
        found.check(path, key, is_qualified_name)
    elif field_path not in expressions:
        found.not_supported(f"{path}.fieldPath", field_path, sorted(expressions))


# What ConvertDownwardAPIFieldLabel knows.
_KNOWN_LABELS = frozenset(
    {"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}
    | {"spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName", "status.phase"}
    | {"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs", "spec.host"}
)

_COMPUTE_FIELDS = tuple(
    f"{way}.{name}" for way in ("limits", "requests") for name in ("cpu", "ephemeral-storage", "memory")
)
_BINARY_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_DIVISORS = {
    "cpu": (("1m", "1"), "1m and 1", "cpu"),
    "memory": (_BINARY_DIVISORS, ", ".join(_BINARY_DIVISORS), "memory"),
    "ephemeral-storage": (_BINARY_DIVISORS, ", ".join(_BINARY_DIVISORS), "local ephemeral storage"),
    "hugepages": (_BINARY_DIVISORS, ", ".join(_BINARY_DIVISORS), "hugepages"),
}


def resource_reference(found: Findings, path: str, reference: Source, volume: bool) -> None:
    """A request or limit of a container, in a volume or in the environment."""
    resource = reference.get("resource", "")
    if volume and not reference.get("containerName"):
        found.required(f"{path}.containerName")
    elif not resource:
        found.required(f"{path}.resource")
    elif resource not in _COMPUTE_FIELDS and not resource.startswith(("requests.hugepages-", "limits.hugepages-")):
        found.not_supported(f"{path}.resource", resource, _COMPUTE_FIELDS)
    divisor = amount(reference.get("divisor") or "0")
    if divisor == ZERO:
        return
    name = resource.partition(".")[2]
    allowed = _DIVISORS.get("hugepages" if name.startswith("hugepages-") else name)
    if allowed and str(divisor) not in allowed[0]:
        text = f"only divisor's values {allowed[1]} are supported with the {allowed[2]} resource"
        found.invalid(f"{path}.divisor", resource, text)


def downward_file(found: Findings, path: str, item: Source) -> None:
    needs("path")(found, path, item)
    local_non_reserved_path(found, f"{path}.path", item.get("path", ""))
    if item.get("fieldRef") is not None:
        field_reference(found, f"{path}.fieldRef", item["fieldRef"], volume=True)
        if item.get("resourceFieldRef") is not None:
            found.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
    elif item.get("resourceFieldRef") is not None:
        resource_reference(found, f"{path}.resourceFieldRef", item["resourceFieldRef"], volume=True)
    else:
        found.required(path, "one of fieldRef and resourceFieldRef is required")
    mode(found, f"{path}.mode", item.get("mode"))


def downward_api(found: Findings, path: str, source: Source) -> None:
    mode(found, f"{path}.defaultMode", source.get("defaultMode"))
    for item in source.get("items") or ():
        downward_file(found, path, item)


def projected(found: Findings, path: str, source: Source) -> None:
    mode(found, f"{path}.defaultMode", source.get("defaultMode"))
    paths = _Paths(found, path)
    for at, one in enumerate(source.get("sources") or ()):
        here = f"{path}.sources[{at}]"
        kinds = [kind for kind in _PROJECTIONS if one.get(kind) is not None]
        for kind in kinds:
            _PROJECTIONS[kind](found, f"{here}.{kind}", one[kind], paths)
        if len(kinds) > 1:
            found.forbidden(here, "may not specify more than 1 volume type per source")


class _Paths:
    """The file names of one projected volume, each used once."""

    def __init__(self, found: Findings, path: str) -> None:
        self.found, self.path, self.seen = found, path, set[str]()

    def add(self, name: str, shown: str) -> None:
        if name in self.seen:
            self.found.invalid(self.path, shown, "conflicting duplicate paths")
        self.seen.add(name)


def _projected_keys(found: Findings, path: str, source: Source, paths: _Paths) -> None:
    needs("name")(found, path, source)
    for at, item in enumerate(source.get("items") or ()):
        key_to_path(found, f"{path}.items[{at}]", item)
        if item.get("path"):
            paths.add(item["path"], source.get("name", ""))


def _projected_fields(found: Findings, path: str, source: Source, paths: _Paths) -> None:
    for item in source.get("items") or ():
        downward_file(found, path, item)
        if item.get("path"):
            paths.add(item["path"], item["path"])


def _projected_token(found: Findings, path: str, source: Source, paths: _Paths) -> None:
    seconds = source.get("expirationSeconds")
    if seconds is None:
        found.required(f"{path}.expirationSeconds")
    else:
        if seconds < 600:
            found.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        if seconds > 1 << 32:
            text = "may not specify a duration larger than 2^32 seconds"
            found.invalid(f"{path}.expirationSeconds", seconds, text)
    if not source.get("path"):
        found.required(f"{paths.path}.path")
    else:
        local_non_reserved_path(found, f"{paths.path}.path", source["path"])


def _projected_bundle(found: Findings, path: str, source: Source, paths: _Paths) -> None:
    name, signer = source.get("name"), source.get("signerName")
    if name is not None and signer is not None:
        shown = {"Name": name, "SignerName": signer, "LabelSelector": source.get("labelSelector")}
        shown |= {"Optional": source.get("optional"), "Path": source.get("path", ""), "User": source.get("user")}
        found.invalid(path, shown, "only one of name and signerName may be used")
    elif name is not None:
        if not name:
            found.required(f"{path}.name", "must be a valid object name")
        of_signer = name.rpartition(":")[0].replace(":", "/")
        for text in trust_bundle_name(of_signer)(name, False):
            found.invalid(f"{path}.name", name, f"not a valid clustertrustbundlename: {text}")
        if source.get("labelSelector") is not None:
            text = "labelSelector must be unset if name is specified"
            found.invalid(f"{path}.labelSelector", source["labelSelector"], text)
    elif signer is not None:
        if not signer:
            found.required(f"{path}.signerName", "must be a valid signer name")
        signer_name(found, f"{path}.signerName", signer)
        label_selector(found, source.get("labelSelector"), f"{path}.labelSelector")
    else:
        found.required(path, "either name or signerName must be specified")
    needs("path")(found, path, source)
    local_non_reserved_path(found, f"{path}.path", source.get("path", ""))
    paths.add(source.get("path", ""), source.get("path", ""))


_KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")


def _projected_certificate(found: Findings, path: str, source: Source, paths: _Paths) -> None:
    signer = source.get("signerName", "")
    signer_name(found, f"{path}.signerName", signer)
    found.one_of(f"{path}.keyType", source.get("keyType", ""), _KEY_TYPES)
    seconds = source.get("maxExpirationSeconds")
    if seconds is not None:
        if seconds < 3600:
            text = "if provided, maxExpirationSeconds must be >= 3600"
            found.invalid(f"{path}.maxExpirationSeconds", seconds, text)
        limit = 86400 if is_kubernetes_signer(signer) else 7862400
        if seconds > limit:
            text = f"if provided, maxExpirationSeconds must be <= {limit}"
            found.invalid(f"{path}.maxExpirationSeconds", seconds, text)
    targets = [key for key in ("credentialBundlePath", "keyPath", "certificateChainPath") if source.get(key)]
    for key in targets:
        local_non_reserved_path(found, f"{path}.{key}", source[key])
        paths.add(source[key], source[key])
    if not targets:
        text = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
        found.required(path, text)


_PROJECTIONS: dict[str, Callable[[Findings, str, Source, _Paths], None]] = {
    "secret": _projected_keys,
    "configMap": _projected_keys,
    "downwardAPI": _projected_fields,
    "serviceAccountToken": _projected_token,
    "clusterTrustBundle": _projected_bundle,
    "podCertificate": _projected_certificate,
}

# (field, its name when it is one too many, its name in other errors, rule)
POD_SOURCES: tuple[tuple[str, str, str, Rule], ...] = (
    ("emptyDir", "emptyDir", "emptyDir", empty_dir),
    ("hostPath", "hostPath", "hostPath", host_path),
    ("gitRepo", "gitRepo", "gitRepo", git_repo),
    ("gcePersistentDisk", "gcePersistentDisk", "persistentDisk", partitioned("pdName")),
    ("awsElasticBlockStore", "awsElasticBlockStore", "awsElasticBlockStore", partitioned("volumeID")),
    ("secret", "secret", "secret", secret),
    ("nfs", "nfs", "nfs", nfs),
    ("iscsi", "iscsi", "iscsi", iscsi),
    ("glusterfs", "glusterfs", "glusterfs", needs("endpoints", "path")),
    ("flocker", "flocker", "flocker", flocker),
    ("persistentVolumeClaim", "persistentVolumeClaim", "persistentVolumeClaim", needs("claimName")),
    ("rbd", "rbd", "rbd", needs("monitors", "image")),
    ("cinder", "cinder", "cinder", with_secret(needs("volumeID"), "name")),
    ("cephfs", "cephFS", "cephfs", needs("monitors")),
    ("quobyte", "quobyte", "quobyte", quobyte),
    ("downwardAPI", "downwarAPI", "downwardAPI", downward_api),
    ("fc", "fc", "fc", fibre_channel),
    ("flexVolume", "flexVolume", "flexVolume", flex_volume),
    ("configMap", "configMap", "configMap", config_map),
    ("azureFile", "azureFile", "azureFile", needs("secretName", "shareName")),
    ("vsphereVolume", "vsphereVolume", "vsphereVolume", needs("volumePath")),
    ("photonPersistentDisk", "photonPersistentDisk", "photonPersistentDisk", needs("pdID")),
    ("portworxVolume", "portworxVolume", "portworxVolume", needs("volumeID")),
    ("azureDisk", "azureDisk", "azureDisk", azure_disk),
    ("storageos", "storageos", "storageos", with_secret(storage_os, "name")),
    ("projected", "projected", "projected", projected),
    ("scaleIO", "scaleIO", "scaleIO", needs("gateway", "system", "volumeName")),
    ("csi", "csi", "csi", csi),
    ("ephemeral", "ephemeral", "ephemeral", ephemeral),
    ("image", "image", "image", image),
)
PERSISTENT_SOURCES: tuple[tuple[str, str, str, Rule], ...] = (
    ("hostPath", "hostPath", "hostPath", host_path),
    ("gcePersistentDisk", "gcePersistentDisk", "persistentDisk", partitioned("pdName")),
    ("awsElasticBlockStore", "awsElasticBlockStore", "awsElasticBlockStore", partitioned("volumeID")),
    ("glusterfs", "glusterfs", "glusterfs", glusterfs_persistent),
    ("flocker", "flocker", "flocker", flocker),
    ("nfs", "nfs", "nfs", nfs),
    ("rbd", "rbd", "rbd", needs("monitors", "image")),
    ("quobyte", "quobyte", "quobyte", quobyte),
    ("cephfs", "cephFS", "cephfs", needs("monitors")),
    ("iscsi", "iscsi", "iscsi", iscsi_persistent),
    ("cinder", "cinder", "cinder", with_secret(needs("volumeID"), "name", "namespace")),
    ("fc", "fc", "fc", fibre_channel),
    ("flexVolume", "flexVolume", "flexVolume", flex_volume),
    ("azureFile", "azureFile", "azureFile", azure_file_persistent),
    ("vsphereVolume", "vsphereVolume", "vsphereVolume", needs("volumePath")),
    ("photonPersistentDisk", "photonPersistentDisk", "photonPersistentDisk", needs("pdID")),
    ("portworxVolume", "portworxVolume", "portworxVolume", needs("volumeID")),
    ("azureDisk", "azureDisk", "azureDisk", azure_disk),
    ("scaleIO", "scaleIO", "scaleIO", needs("gateway", "system", "volumeName")),
    ("local", "local", "local", local),
    ("storageos", "storageos", "storageos", with_secret(storage_os, "name", "namespace")),
    ("csi", "csi", "csi", csi_persistent),
)
PERSISTENT_SOURCE_KEYS = tuple(key for key, _, _, _ in PERSISTENT_SOURCES)


def volumes(found: Findings, path: str, ones: Sequence[Source] | None, pod_name: str = "") -> dict[str, Source]:
    """Check the volumes of a pod; gives those that are fine, by name. `pod_name` is empty for templates."""
    ones = ones or ()
    created = {f"{pod_name}-{one.get('name', '')}" for one in ones if pod_name and one.get("ephemeral") is not None}
    good: dict[str, Source] = {}
    for at, one in enumerate(ones):
        here, name = f"{path}[{at}]", one.get("name", "")
        of_this = Findings()
        only_one_source(of_this, here, one, POD_SOURCES)
        _with_name(of_this, here, one, name, pod_name)
        found_name = Findings()
        found_name.name(f"{here}.name", name, is_dns1123_label)
        of_this += found_name
        if name in good:
            of_this.duplicate(f"{here}.name", name)
        if of_this:
            found += of_this
        else:
            good[name] = one
        claim = (one.get("persistentVolumeClaim") or {}).get("claimName", "")
        if one.get("persistentVolumeClaim") is not None and claim in created:
            text = "must not reference a PVC that gets created for an ephemeral volume"
            found.invalid(f"{here}.persistentVolumeClaim.claimName", claim, text)
    return good


def _with_name(found: Findings, path: str, one: Source, name: str, pod_name: str) -> None:
    """Rules that join a volume's name with its source."""
    portal = one.get("iscsi") or {}
    if portal.get("initiatorName") is not None and len(f"{name}:{portal.get('targetPortal', '')}") > 64:
        text = (
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters "
            "if iscsi.initiatorName is specified."
        )
        found.invalid(f"{path}.name", name, text)
    if one.get("ephemeral") is not None and pod_name and name:
        claim = f"{pod_name}-{name}"
        for complaint in FORMATS["dns1123-subdomain"](claim, False):
            found.invalid(f"{path}.name", name, f'PVC name "{claim}": {complaint}')


def is_root(path: str) -> bool:
    return posixpath.normpath(path or ".") == "/"

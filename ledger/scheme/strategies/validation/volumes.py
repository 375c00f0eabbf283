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
)
from ledger.scheme.strategies.validation.claims import claim_template
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.resources import ZERO, amount
from ledger.scheme.strategies.validation.volume_files import (
    config_map,
    downward_api,
    local_path,
    needs,
    no_backsteps,
    projected,
    secret,
)

Source = Mapping[str, Any]
Rule = Callable[[Findings, str, Source], None]
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


def with_secret(rule: Rule, *keys: str) -> Rule:
    """The same, with a reference to a secret that names these."""

    def both(found: Findings, path: str, source: Source) -> None:
        rule(found, path, source)
        if source.get("secretRef") is not None:
            for key in keys:
                if not source["secretRef"].get(key):
                    found.required(f"{path}.secretRef.{key}")

    return both


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

"""Volumes, claims and storage.k8s.io."""

from __future__ import annotations

from ledger.apimachinery.resource import Object
from ledger.apimachinery.times import parse_rfc3339
from ledger.scheme.printers.cell import (
    AGE,
    NAME,
    UNSET,
    Cell,
    Row,
    count,
    dig,
    fields,
    items,
    joined,
    named,
    row,
    value,
)

_MODES = (("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP"))
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


def default_class(classes: list[Object]) -> str:
    """The name of the StorageClass that claims without one get: of those marked the youngest, then the first by name."""
    marked = [one for one in classes if _is_marked(one)]
    if not marked:
        return ""
    youngest = min(marked, key=lambda one: (-_created(one), one["metadata"].get("name", "")))
    name: str = youngest["metadata"].get("name", "")
    return name


def _is_marked(obj: Object) -> bool:
    annotations = fields(obj, "metadata", "annotations")
    return any(annotations.get(name) == "true" for name in _DEFAULT_CLASS)


def _created(obj: Object) -> int:
    text = dig(obj, "metadata", "creationTimestamp")
    return parse_rfc3339(text) if text else 0


def _modes(path: str) -> Cell:
    """Access modes by their short names, in the order of the table above."""
    names = path.split(".")

    def cell(obj: Object, now: int) -> str:
        modes = items(obj, *names)
        return ",".join(short for mode, short in _MODES if mode in modes)

    return cell


def _class(obj: Object, now: int) -> str:
    annotated = fields(obj, "metadata", "annotations").get(_BETA_CLASS)
    return dig(obj, "spec", "storageClassName") or "" if annotated is None else annotated


def _phase(obj: Object, now: int) -> str:
    return "Terminating" if dig(obj, "metadata", "deletionTimestamp") else dig(obj, "status", "phase") or ""


def _claim(obj: Object, now: int) -> str:
    claim = dig(obj, "spec", "claimRef")
    return "" if claim is None else f"{claim.get('namespace') or ''}/{claim.get('name') or ''}"


def _when_bound(cell: Cell) -> Cell:
    """Empty for a claim that has no volume yet."""
    return lambda obj, now: cell(obj, now) if dig(obj, "spec", "volumeName") else ""


def _audiences(obj: Object, now: int) -> str:
    requests = dig(obj, "spec", "tokenRequests")
    return UNSET if requests is None else ",".join(named(requests, "audience"))


_VOLUME_MODE = value("spec.volumeMode", UNSET)
_ATTRIBUTES_CLASS = value("spec.volumeAttributesClassName", UNSET)

ROWS: dict[str, Row] = {
    "persistentvolumes": row(
        NAME,
        value("spec.capacity.storage", "0"),
        _modes("spec.accessModes"),
        value("spec.persistentVolumeReclaimPolicy"),
        _phase,
        _claim,
        _class,
        _ATTRIBUTES_CLASS,
        value("status.reason"),
        AGE,
        _VOLUME_MODE,
    ),
    "persistentvolumeclaims": row(
        NAME,
        _phase,
        value("spec.volumeName"),
        _when_bound(value("status.capacity.storage", "0")),
        _when_bound(_modes("status.accessModes")),
        _class,
        _ATTRIBUTES_CLASS,
        AGE,
        _VOLUME_MODE,
    ),
    "storageclasses.storage.k8s.io": row(
        NAME,
        value("provisioner"),
        value("reclaimPolicy", "Delete"),
        value("volumeBindingMode", "Immediate"),
        value("allowVolumeExpansion", False),
        AGE,
    ),
    "volumeattributesclasses.storage.k8s.io": row(NAME, value("driverName"), AGE),
    "volumeattachments.storage.k8s.io": row(
        NAME,
        value("spec.attacher"),
        value("spec.source.persistentVolumeName"),
        value("spec.nodeName"),
        value("status.attached", False),
        AGE,
    ),
    "csinodes.storage.k8s.io": row(NAME, count("spec.drivers"), AGE),
    "csidrivers.storage.k8s.io": row(
        NAME,
        value("spec.attachRequired", True),
        value("spec.podInfoOnMount", False),
        value("spec.storageCapacity", False),
        _audiences,
        value("spec.requiresRepublish", False),
        joined("spec.volumeLifecycleModes", "<none>"),
        AGE,
    ),
}

"""Takes the protection finalizers from claims, volumes and their classes once they are being deleted and nobody uses them.

Admission puts the finalizers on (ledger.admission.in_use_protection). Follows pkg/controller/volume/{pvcprotection,
pvprotection,vacprotection} in k8s.io/kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.controllers.client import Client
from ledger.projections.api import Stored, View
from ledger.projections.watch import WatchItem
from ledger.registry.body import decode

PODS = GroupResource("", "pods")
CLAIMS = GroupResource("", "persistentvolumeclaims")
VOLUMES = GroupResource("", "persistentvolumes")
CLASSES = GroupResource("storage.k8s.io", "volumeattributesclasses")
_DELETING = b'"deletionTimestamp"'


@dataclass(frozen=True, slots=True)
class Protection:
    """What is protected, by which finalizer, and who may use it: of each user's object, the keys it uses."""

    protected: GroupResource
    finalizer: str
    users: tuple[GroupResource, ...]
    uses: Callable[[GroupResource, Object], Iterable[Key]]


def claims_of_pod(_user: GroupResource, pod: Object) -> Iterator[Key]:
    """The claims a pod uses, generic ephemeral ones included; a pod that is on no node uses none yet."""
    spec, metadata = pod.get("spec") or {}, pod["metadata"]
    if not spec.get("nodeName"):
        return
    for volume in spec.get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            yield Key(*CLAIMS, metadata["namespace"], claim["claimName"])
        elif "ephemeral" in volume:
            yield Key(*CLAIMS, metadata["namespace"], f"{metadata['name']}-{volume['name']}")


def bound_volume(_user: GroupResource, volume: Object) -> Iterator[Key]:
    """A volume that is bound is used: by its claim."""
    if (volume.get("status") or {}).get("phase") == "Bound":
        yield Key(*VOLUMES, "", volume["metadata"]["name"])


def class_of_storage(_user: GroupResource, obj: Object) -> Iterator[Key]:
    """The VolumeAttributesClasses that a claim or a volume names, wanted and present."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    names = {
        spec.get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    }
    yield from (Key(*CLASSES, "", name) for name in names if name)


CLAIM_PROTECTION = Protection(CLAIMS, "kubernetes.io/pvc-protection", (PODS,), claims_of_pod)
VOLUME_PROTECTION = Protection(VOLUMES, "kubernetes.io/pv-protection", (VOLUMES,), bound_volume)
CLASS_PROTECTION = Protection(CLASSES, "kubernetes.io/vac-protection", (CLAIMS, VOLUMES), class_of_storage)


class InUseProtection:
    """The controller of one protection."""

    def __init__(self, name: str, client: Client, protection: Protection) -> None:
        self.name, self.client, self.protection = name, client, protection

    def begin(self, view: View) -> Iterable[Key]:
        return [one.key for one in view.scan(self.protection.protected) if _DELETING in one.body]

    def observe(self, item: WatchItem) -> Iterator[Key]:
        """A protected object that is being deleted, and whatever a user let go of."""
        resource = GroupResource(item.key.group, item.key.resource)
        if resource == self.protection.protected and _DELETING in (item.change.body or b""):
            yield item.key
        if resource in self.protection.users and item.old is not None:
            yield from self.protection.uses(resource, decode(item.old))

    async def sync(self, key: Key) -> None:
        """Takes the finalizer away when the object is being deleted and nobody uses it."""
        live = self.client.read(key)
        if live is None or "deletionTimestamp" not in live["metadata"]:
            return
        if self.protection.finalizer not in (live["metadata"].get("finalizers") or ()):
            return
        with self.client.store.view() as view:
            if any(key in self.protection.uses(user, decode(one)) for user, one in self._users(view, key)):
                return  # whoever uses it will let go, and wake this up
        await self.client.edit(key, self._without_finalizer)

    def _users(self, view: View, key: Key) -> Iterator[tuple[GroupResource, Stored]]:
        for user in self.protection.users:
            yield from ((user, one) for one in view.scan(user, key.namespace))

    def _without_finalizer(self, obj: Object) -> Object | None:
        finalizers = obj["metadata"].get("finalizers") or []
        if self.protection.finalizer not in finalizers:
            return None
        obj["metadata"]["finalizers"] = [one for one in finalizers if one != self.protection.finalizer]
        return obj

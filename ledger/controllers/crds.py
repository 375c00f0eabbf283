"""Brings CustomResourceDefinitions to life and to an end, as kube-apiserver does by itself.

A new definition gets its names (unless another one of its group has them), then is Established and served from that
commit on. One that is being deleted first loses its instances, then its finalizer. Conditions, reasons and messages
follow pkg/controller/{status,establish,apiapproval,finalizer} of k8s.io/apiextensions-apiserver; the APIService of
each group-version follows crdregistration in k8s.io/kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import trio

from ledger.apimachinery.field import quoted
from ledger.apimachinery.resource import GVR, GroupResource, Object
from ledger.apimachinery.status import StatusError
from ledger.apimachinery.times import rfc3339
from ledger.controllers.apiservices import AUTOMANAGED, api_service
from ledger.controllers.client import Client
from ledger.controllers.conditions import set_condition
from ledger.controllers.crd_names import Names, judge
from ledger.projections.store import Store
from ledger.registry.body import decode
from ledger.scheme.custom import condition, condition_is_true

CRDS = GroupResource("apiextensions.k8s.io", "customresourcedefinitions")
CRD = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions")
API_SERVICE = GVR("apiregistration.k8s.io", "v1", "apiservices")
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
APPROVAL = "api-approved.kubernetes.io"
EMPTY_WITHIN_S = 60  # how long to wait for instances to go before saying that they do not
RETRY_AFTER_S = 5
GROUP_PRIORITY, VERSION_PRIORITY = 1000, 100


class Definitions:
    """One task for each server: `run` it in a nursery that ends with the server."""

    def __init__(self, store: Store, client: Client, clock: Callable[[], int]) -> None:
        self._store, self._client, self._clock = store, client, clock
        self._held: dict[str, tuple[str, Names]] = {}  # definition -> its group and accepted names
        self._versions: dict[str, set[tuple[str, str]]] = {}  # definition -> the group-versions it serves
        self._ending: set[str] = set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Never returns; ready once every definition has been looked at."""
        async with trio.open_nursery() as nursery:
            with self._store.view() as view:
                after = view.revision
                found = [decode(stored) for stored in view.scan(CRDS)]
            with self._store.watch(CRDS, "", after) as watcher:
                for crd in found:
                    self._remember(crd)
                for crd in found:
                    await self._sync(crd["metadata"]["name"], nursery)
                task_status.started()
                while batch := await watcher.next_batch():
                    for name in dict.fromkeys(item.change.key.name for item in batch):
                        await self._follow(name, nursery)

    async def _follow(self, name: str, nursery: trio.Nursery) -> None:
        """Looks at a definition that changed, and at its neighbours when it may have given names back."""
        group, before = self._held.get(name, ("", {}))
        crd = self._read(name)
        if crd is None:
            self._held.pop(name, None)
            await self._register(self._versions.pop(name, set()))
        else:
            self._remember(crd)
            await self._sync(name, nursery)
        if before and self._held.get(name, ("", {}))[1] != before:
            for other in [one for one, (its, _) in self._held.items() if its == group and one != name]:
                await self._sync(other, nursery)

    def _read(self, name: str) -> Object | None:
        return self._client.get(CRD, "", name)

    def _remember(self, crd: Object) -> None:
        names = (crd.get("status") or {}).get("acceptedNames") or {}
        self._held[crd["metadata"]["name"]] = (crd["spec"]["group"], names)

    async def _sync(self, name: str, nursery: trio.Nursery) -> None:
        """Takes a definition as far as it goes now."""
        try:
            for step in (self._name, self._establish, self._approve):
                crd = self._read(name)
                if crd is None:
                    return
                changed = step(crd)
                if changed is not None:
                    await self._write(name, step)
        except StatusError:
            return  # refused as it stands: the next change of the definition is another chance
        crd = self._read(name)
        if crd is None:
            return
        await self._serve(crd)
        ending = "deletionTimestamp" in crd["metadata"] and FINALIZER in (crd["metadata"].get("finalizers") or ())
        if ending and name not in self._ending:
            self._ending.add(name)
            nursery.start_soon(self._end, name)

    async def _write(self, name: str, change: Callable[[Object], Object | None]) -> Object | None:
        written = await self._client.update(CRD, "", name, change, "status")
        if written is not None:
            self._remember(written)
        return written

    # --- names, establishing, approval ----------------------------------------------------------------------------
    def _name(self, crd: Object) -> Object | None:
        """The definition with its accepted names; None when nothing changes."""
        status = crd["status"]
        if crd["spec"]["names"] == status.get("acceptedNames"):
            return None
        own = crd["metadata"]["name"]
        others = [names for name, (group, names) in self._held.items() if group == crd["spec"]["group"] and name != own]
        verdict = judge(crd, others)
        was = condition(crd, "NamesAccepted") or {}
        accepted = "True" if verdict.accepted else "False"
        told = (was.get("status"), was.get("reason"), was.get("message"))
        if status.get("acceptedNames") == verdict.names and told == (accepted, verdict.reason, verdict.message):
            return None
        now = rfc3339(self._clock())
        status["acceptedNames"] = {"plural": "", "kind": ""} | verdict.names
        set_condition(crd, "NamesAccepted", accepted, verdict.reason, verdict.message, now)
        if condition_is_true(crd, "Established"):
            return crd
        if verdict.accepted:
            set_condition(crd, "Established", "False", "Installing", "the initial names have been accepted", now)
        elif condition(crd, "Established") is None:
            set_condition(crd, "Established", "False", "NotAccepted", "not all names are accepted", now)
        return crd

    def _establish(self, crd: Object) -> Object | None:
        if not condition_is_true(crd, "NamesAccepted") or condition_is_true(crd, "Established"):
            return None
        text = "the initial names have been accepted"
        set_condition(crd, "Established", "True", "InitialNamesAccepted", text, rfc3339(self._clock()))
        return crd

    def _approve(self, crd: Object) -> Object | None:
        """Says of a definition in a group of the Kubernetes community whether that community has approved it."""
        if not is_protected(crd["spec"]["group"]):
            return None
        found = approval((crd["metadata"].get("annotations") or {}).get(APPROVAL, ""))
        kind = "KubernetesAPIApprovalPolicyConformant"
        was = condition(crd, kind) or {}
        if (was.get("status"), was.get("reason"), was.get("message")) == found:
            return None
        set_condition(crd, kind, *found, rfc3339(self._clock()))
        return crd

    # --- APIServices ----------------------------------------------------------------------------------------------
    async def _serve(self, crd: Object) -> None:
        """Keeps one APIService for each group-version that any definition serves."""
        name, group = crd["metadata"]["name"], crd["spec"]["group"]
        now = {(group, one["name"]) for one in crd["spec"]["versions"] if one.get("served")}
        before = self._versions.get(name, set())
        if now != before:
            self._versions[name] = now
            await self._register(now | before)

    async def _register(self, changed: set[tuple[str, str]]) -> None:
        served = set().union(*self._versions.values()) if self._versions else set()
        for group, version in sorted(changed):
            there = self._client.get(API_SERVICE, "", f"{version}.{group}")
            managed = there is not None and AUTOMANAGED in (there["metadata"].get("labels") or {})
            if (group, version) not in served:
                if managed:
                    await self._client.delete(API_SERVICE, "", f"{version}.{group}")
            elif there is None:
                time = rfc3339(self._clock())
                obj = api_service(group, version, GROUP_PRIORITY, VERSION_PRIORITY, "true", time)
                obj["metadata"].pop("managedFields")
                try:
                    await self._client.create(API_SERVICE, "", obj)
                except StatusError as error:
                    if error.reason != "AlreadyExists":
                        raise

    # --- the end --------------------------------------------------------------------------------------------------
    async def _end(self, name: str) -> None:
        """Deletes the instances, waits until they are gone, and lets the definition go."""
        try:
            while not await self._try_to_end(name):
                await trio.sleep(RETRY_AFTER_S)
        finally:
            self._ending.discard(name)

    async def _try_to_end(self, name: str) -> bool:
        try:
            progress = ("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
            crd = await self._terminating(name, progress, release=False)
            if crd is None:
                return True
            outcome = ("False", "NeverEstablished", "resource was never established")
            if condition_is_true(crd, "Established"):
                outcome = await self._delete_instances(crd)
            done = outcome[0] == "False"
            await self._terminating(name, outcome, release=done)
            return done
        except StatusError:
            return False

    async def _terminating(self, name: str, outcome: tuple[str, str, str], release: bool) -> Object | None:
        def change(crd: Object) -> Object | None:
            finalizers = crd["metadata"].get("finalizers") or []
            if FINALIZER not in finalizers:
                return None
            set_condition(crd, "Terminating", *outcome, rfc3339(self._clock()))
            if release:
                crd["metadata"]["finalizers"] = [one for one in finalizers if one != FINALIZER]
                if not crd["metadata"]["finalizers"]:
                    del crd["metadata"]["finalizers"]
            return crd

        return await self._write(name, change)

    async def _delete_instances(self, crd: Object) -> tuple[str, str, str]:
        """The Terminating condition after all instances were deleted, or refused to go."""
        names = crd["status"]["acceptedNames"]
        resource = GroupResource(crd["spec"]["group"], names["plural"])
        served = next((one["name"] for one in crd["spec"]["versions"] if one.get("served")), None)
        if served is None:
            return ("False", "InstanceDeletionCompleted", "removed all instances")
        with self._store.view() as view:
            namespaces = dict.fromkeys(stored.key.namespace for stored in view.scan(resource))
        try:
            for namespace in namespaces:
                await self._client.delete_collection(GVR(resource.group, served, resource.resource), namespace)
        except StatusError as error:
            return ("True", "InstanceDeletionFailed", f"could not issue all deletes: {error.message}")
        with trio.move_on_after(EMPTY_WITHIN_S):
            await self._until_empty(resource)
            return ("False", "InstanceDeletionCompleted", "removed all instances")
        text = "could not confirm zero CustomResources remaining: context deadline exceeded"
        return ("True", "InstanceDeletionCheck", text)

    async def _until_empty(self, resource: GroupResource) -> None:
        while True:
            with self._store.view() as view:
                after, left = view.revision, next(iter(view.scan(resource)), None)
            if left is None:
                return
            with self._store.watch(resource, "", after) as watcher:
                await watcher.next_batch()


def is_protected(group: str) -> bool:
    """Whether a group belongs to the Kubernetes community."""
    return f".{group}".endswith((".k8s.io", ".kubernetes.io"))


def approval(annotation: str) -> tuple[str, str, str]:
    """(status, reason, message) of the condition that an approval annotation gives."""
    if not annotation:
        why = f"protected groups must have approval annotation {quoted(APPROVAL)}"
        return "False", "MissingAnnotation", f"{why}, see https://github.com/kubernetes/enhancements/pull/1111"
    if annotation.startswith("unapproved"):
        return "False", "UnapprovedAnnotation", f"not approved: {quoted(annotation)}"
    parts = urlsplit(annotation)
    if parts.scheme and parts.netloc:
        return "True", "ApprovedAnnotation", f"approved in {annotation}"
    why = (
        f"protected groups must have approval annotation {quoted(APPROVAL)} with either a URL or a reason starting with"
    )
    return (
        "False",
        "InvalidAnnotation",
        f'{why} "unapproved", see https://github.com/kubernetes/enhancements/pull/1111',
    )

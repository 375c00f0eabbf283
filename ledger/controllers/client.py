"""How a controller reads and writes: through the registry, as a user of its own.

Every write is a request like a client's, only that it never was on a wire: it passes admission and validation, and
leaves one event in the log whether it succeeds or not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from copy import deepcopy
from typing import Any

from ledger.apimachinery.http import Headers, Request, RequestInfo, User
from ledger.apimachinery.resource import GVR, GroupResource, Key, Object
from ledger.apimachinery.status import StatusError
from ledger.log.event import event_of
from ledger.projections.api import Stored, View
from ledger.projections.store import Store
from ledger.registry.body import decode, key_of
from ledger.registry.options import DeleteOptions, WriteOptions
from ledger.registry.registry import Call, Registry, Written
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.scheme import Scheme

COLLECTION_SLICE = 500  # objects deleted in one commit
SERVER = User("system:apiserver", groups=("system:authenticated", "system:masters"))
METHODS = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE", "deletecollection": "DELETE"}

Edit = Callable[[Object], Object | None]  # what the object shall be; None: leave it as it is


class Unchanged(Exception):
    """An edit found nothing to do."""


def service_account(name: str) -> User:
    """The account under which kube-controller-manager runs a controller."""
    groups = ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated")
    return User(f"system:serviceaccount:kube-system:{name}", groups=groups)


class Client:
    """`manager` is the field manager of what it writes.

    An object is named by its GVR, and is then seen in that version; or by its key, and is then in its storage version.
    """

    def __init__(
        self,
        registry: Registry,
        scheme: Callable[[], Scheme],
        new_uid: Callable[[], str],
        user: User = SERVER,
        manager: str = "kube-apiserver",
    ) -> None:
        self.registry, self.scheme, self.new_uid = registry, scheme, new_uid
        self.user, self.manager = user, manager

    @property
    def store(self) -> Store:
        return self.registry.store

    def now(self) -> int:
        """Microseconds since 1970."""
        return self.registry.clock()

    # By GVR, namespace and name.

    def get(self, gvr: GVR, namespace: str, name: str) -> Object | None:
        """The object now, resourceVersion included; None when there is none."""
        definition, version = self._found(gvr)
        live = self.read(key_of(definition, namespace, name))
        return None if live is None else self.registry.behaviour.from_storage(definition, version, live)

    async def create(self, gvr: GVR, namespace: str, obj: Object) -> Object:
        """Raises StatusError, AlreadyExists among them."""
        definition, version = self._found(gvr)
        metadata = {**obj["metadata"], **({"namespace": namespace} if namespace else {})}
        call = self._call("create", definition, version, namespace, metadata.get("name", ""))
        wanted: Object = {
            "kind": version.kind.kind,
            "apiVersion": version.kind.api_version,
            **obj,
            "metadata": metadata,
        }
        wanted, _warnings = self.registry.behaviour.redecode(definition, version, wanted, "Ignore")
        written: Written = await self._recorded(call, self.registry.create, wanted, self._options())
        return decode(written.stored)

    async def update(self, gvr: GVR, namespace: str, name: str, edit: Edit, subresource: str = "") -> Object | None:
        """Edits an object (in place, if it likes); the edit runs again after a lost race.

        None: the edit found nothing to do. Raises StatusError, NotFound among them.
        """
        definition, version = self._found(gvr)
        call = self._call("update", definition, version, namespace, name, subresource)

        def transform(live: Object | None, _view: View) -> Object:
            assert live is not None  # a missing object has been answered with 404
            wanted = edit(deepcopy(live))
            if wanted is None:
                raise Unchanged
            wanted = self.registry.behaviour.redecode(definition, version, wanted, "Ignore")[0]
            return {**wanted, "metadata": dict(wanted["metadata"])}

        try:
            written: Written = await self._recorded(call, self.registry.update, transform, self._options())
        except Unchanged:
            return None
        return self.registry.behaviour.from_storage(definition, version, decode(written.stored))

    async def apply(self, gvr: GVR, namespace: str, config: Object, subresource: str = "") -> None:
        """Server-side apply of a configuration without kind, by force. Raises StatusError."""
        definition, version = self._found(gvr)
        call = self._call("patch", definition, version, namespace, config["metadata"]["name"], subresource)
        options = WriteOptions(field_manager=self.manager, force=True)
        whole = {"apiVersion": version.kind.api_version, "kind": version.kind.kind, **config}

        def transform(live: Object | None, _view: View) -> Object:
            behaviour, now = self.registry.behaviour, self.now()
            return behaviour.apply(definition, version, live, deepcopy(whole), options, subresource, now)

        def write(call: Call) -> Awaitable[Written]:
            return self.registry.update(call, transform, options, create=not subresource, tracked=True)

        await self._recorded(call, write)

    async def delete(
        self, gvr: GVR, namespace: str, name: str, options: DeleteOptions = DeleteOptions(propagation="Background")
    ) -> None:
        """Raises StatusError, NotFound among them."""
        definition, version = self._found(gvr)
        call = self._call("delete", definition, version, namespace, name)
        await self._recorded(call, self.registry.delete, options)

    async def delete_collection(self, gvr: GVR, namespace: str, chosen: Sequence[Stored] | None = None) -> None:
        """Deletes objects of one resource in one namespace (all, unless some are chosen), some hundreds a commit."""
        definition, version = self._found(gvr)
        if chosen is None:
            with self.store.view() as view:
                chosen = list(view.scan(definition.stored_as, namespace))
        for start in range(0, len(chosen), COLLECTION_SLICE):
            call = self._call("deletecollection", definition, version, namespace, "")
            some = list(chosen[start : start + COLLECTION_SLICE])
            await self._recorded(call, self.registry.delete_collection, some, DeleteOptions(propagation="Background"))

    # By key, in the storage version.

    def read(self, key: Key) -> Object | None:
        with self.store.view() as view:
            stored = view.get(key)
        return None if stored is None else decode(stored)

    async def edit(self, key: Key, edit: Edit, subresource: str = "") -> None:
        """`update` of what is stored there."""
        await self.update(self.gvr(key), key.namespace, key.name, edit, subresource)

    async def remove(self, stored: Stored, propagation: str = "Background") -> None:
        """Deletes what was read, unless it has become another object or has changed since. StatusError 404, 409."""
        key = stored.key
        options = DeleteOptions(uid=stored.uid, resource_version=str(stored.revision), propagation=propagation)
        await self.delete(self.gvr(key), key.namespace, key.name, options)

    def gvr(self, resource: Key | GroupResource) -> GVR:
        """A resource in its storage version. StatusError 404 when it is not served."""
        definition = self.scheme().definition(GroupResource(resource.group, resource.resource))
        if definition is None:
            raise _not_served()
        return definition.gvr(definition.storage_version)

    def _found(self, gvr: GVR) -> tuple[ResourceDefinition, Version]:
        """The definition, in a version that need not be served any more."""
        definition = self.scheme().definition(GroupResource(gvr.group, gvr.resource))
        version = definition.versions.get(gvr.version) if definition is not None else None
        if definition is None or version is None:
            raise _not_served()
        return definition, version

    def _options(self) -> WriteOptions:
        return WriteOptions(field_manager=self.manager)

    def _call(
        self,
        verb: str,
        definition: ResourceDefinition,
        version: Version,
        namespace: str,
        name: str,
        subresource: str = "",
    ) -> Call:
        root = f"/apis/{definition.group}" if definition.group else "/api"
        scope = f"/namespaces/{namespace}" if definition.namespaced and namespace else ""
        named = f"/{name}" if name and verb != "create" else ""
        path = f"{root}/{version.name}{scope}/{definition.resource}{named}"
        path += f"/{subresource}" if subresource else ""
        info = RequestInfo(
            True, path, verb, root.split("/")[1], definition.group, version.name, namespace, definition.resource,
            subresource, name,
        )  # fmt: skip
        headers = Headers([("user-agent", f"ledger ({self.manager})")])
        request = Request(METHODS[verb], path, "", headers, _no_body, audit_id=self.new_uid(), received=self.now())
        request.info, request.user, request.real_user = info, self.user, self.user
        return Call(request, definition, version, subresource, namespace, name)

    async def _recorded(self, call: Call, write: Callable[..., Awaitable[Any]], *arguments: object) -> Any:
        """Runs a write; one that changed nothing leaves its event here."""
        code, reason, message = 200, "", ""
        noted = True
        try:
            return await write(call, *arguments)
        except StatusError as error:
            code, reason, message = error.code, error.reason, error.message
            raise
        except Unchanged:
            noted = False  # nothing was asked of anybody
            raise
        finally:
            if noted and not call.request.recorded:
                self.store.note(event_of(call.request, code, self.now(), reason=reason, message=message))


def _not_served() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource")


async def _no_body() -> bytes:
    return b""

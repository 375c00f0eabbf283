"""What a fresh server holds: namespaces, the kubernetes Service, RBAC policy, priority classes, flow schemas, APIServices.

Data made by tools/generate/bootstrap.py. Objects that are missing are created, those that are there are left alone, each
by an event of its own, so that the log tells where they came from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from typing import Any

import trio

from ledger.apimachinery.http import User
from ledger.apimachinery.resource import GVR, Key, Object, split_api_version
from ledger.apimachinery.times import rfc3339
from ledger.controllers.apiservices import OWN_GROUP, local_api_services
from ledger.log.api import Conflict
from ledger.log.event import Event
from ledger.projections.store import Store
from ledger.registry.body import change_of, key_of
from ledger.scheme.conversion import stored_kind
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.scheme import Scheme

SERVER = User("system:apiserver", groups=("system:authenticated", "system:masters"))
USER_AGENT = "ledger (bootstrap)"


async def bootstrap(
    store: Store,
    scheme: Scheme,
    facts: Mapping[str, Any],
    clock: Callable[[], int],
    new_uid: Callable[[], str],
) -> int:
    """Creates what is missing and returns how many objects that were.

    `facts` fills the placeholders: service_ip, service_cidr, advertise_ip, port (a number), client_ca and
    requestheader_ca (PEM).
    """
    now = clock()
    values = {**facts, "time": rfc3339(now), "date": rfc3339(now)[:10]}
    missing = []
    with store.view() as view:
        for definition, obj in _objects(scheme, values):
            if view.get(_key(definition, obj)) is None:
                missing.append((definition, obj))

    async def create(definition: ResourceDefinition, obj: Object) -> None:
        obj["metadata"]["uid"] = new_uid()
        kind = stored_kind(definition)
        obj = {"kind": kind.kind, "apiVersion": kind.api_version, **obj}
        event = _event(definition, obj, now, new_uid())
        try:
            await store.append(event, [change_of(definition, obj, expect=0)])
        except Conflict:
            return  # somebody else was quicker; what is there now counts

    first = [(one, obj) for one, obj in missing if not obj["metadata"].get("namespace")]
    for batch in (first, [pair for pair in missing if pair[1]["metadata"].get("namespace")]):
        async with trio.open_nursery() as nursery:  # they share commits
            for definition, obj in batch:
                nursery.start_soon(create, definition, obj)
    return len(missing)


def _objects(scheme: Scheme, values: Mapping[str, Any]) -> Iterator[tuple[ResourceDefinition, Object]]:
    recorded = json.loads((files("ledger.controllers") / "data/bootstrap.json").read_bytes())
    for path, objects in recorded.items():
        group_version, _, resource = path.rpartition("/")
        found = scheme.find(GVR(*split_api_version(group_version), resource))
        if found is None:
            continue  # switched off by --runtime-config
        for obj in objects:
            yield found[0], _filled(obj, values)
    registration = scheme.find(GVR(OWN_GROUP, "v1", "apiservices"))
    if registration is not None:
        for obj in local_api_services(scheme, values["time"]):
            yield registration[0], obj


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(one, values) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, values) for one in value]
    if isinstance(value, str) and value[:1] == "{" and value[-1:] == "}":
        return values.get(value[1:-1], value)
    return value


def _key(definition: ResourceDefinition, obj: Object) -> Key:
    return key_of(definition, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def _event(definition: ResourceDefinition, obj: Object, now: int, audit_id: str) -> Event:
    metadata = obj["metadata"]
    namespace = metadata.get("namespace", "")
    root = f"/apis/{definition.group}/" if definition.group else "/api/"
    scope = f"/namespaces/{namespace}" if namespace else ""
    return Event(
        audit_id=audit_id,
        received=now,
        answered=now,
        verb="create",
        uri=f"{root}{definition.storage_version}{scope}/{definition.resource}",
        user=SERVER,
        code=201,
        user_agent=USER_AGENT,
        api_group=definition.group,
        api_version=definition.storage_version,
        resource=definition.resource,
        namespace=namespace,
        name=metadata["name"],
        uid=metadata["uid"],
    )

"""pods/binding and the older bindings: puts a pod on a node, once."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery import field as fields
from ledger.apimachinery.http import Response
from ledger.apimachinery.managedfields import manager_name, update_managed_fields
from ledger.apimachinery.resource import GVK, GVR, GroupResource, Key, Object
from ledger.apimachinery.status import StatusError, bad_request, conflict
from ledger.apimachinery.times import rfc3339
from ledger.handlers.api import Api, warn
from ledger.projections.api import View
from ledger.registry.options import WriteOptions, query_of, write_options
from ledger.registry.registry import Call
from ledger.scheme.schemas import resolved_definitions

BINDING = GVK("", "v1", "Binding")
PODS = GVR("", "v1", "pods")
TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


async def bind(api: Api, call: Call) -> Response:
    """create of pods/NAME/binding, or of bindings, where the body names the pod."""
    options = write_options(query_of(call.request), "CreateOptions")
    body = await call.request.read_body()
    content_type = call.request.headers.get("content-type")
    binding, warnings = api.behaviour.decode_kind(BINDING, body, content_type, options.field_validation)
    warn(call.request, warnings)
    name = binding["metadata"].get("name", "")
    if call.name and name != call.name:
        raise bad_request("name in URL does not match name in Binding object")
    binding["metadata"].setdefault("namespace", call.namespace)
    binding["metadata"]["managedFields"] = _owned(api, call, binding, options)
    admitted = Call(call.request, call.definition, call.version, call.subresource, call.namespace, call.name or name)
    binding = await api.registry.admit(admitted, "CREATE", binding, options.as_object("CreateOptions"), options.dry_run)
    _validate(binding)
    found = api.scheme().find(PODS)
    assert found is not None  # pods are always served
    definition, version = found
    pod_call = Call(call.request, definition, version, "binding", call.namespace, name)

    def transform(live: Object | None, view: View) -> Object:
        assert live is not None
        return bound(live, _with_topology(binding, view), rfc3339(api.clock()))

    await api.registry.update(pod_call, transform, options, direct=True)
    answer = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return api.encoder.status(call.request, answer, 201)


def _owned(api: Api, call: Call, binding: Object, options: WriteOptions) -> list[dict[str, Any]]:
    """Who made the binding: admission sees it, nobody keeps it."""
    empty: Object = {"kind": BINDING.kind, "apiVersion": BINDING.api_version, "metadata": {}}
    manager = manager_name(options.field_manager, call.request.headers.get("user-agent"))
    schema = resolved_definitions()["io.k8s.api.core.v1.Binding"]
    now = rfc3339(api.clock())
    return update_managed_fields(
        empty, binding, schema, manager, BINDING.api_version, call.subresource, now, None, None
    )


def _with_topology(binding: Object, view: View) -> Object:
    """The binding with the zone and region of its node among its labels (the PodTopologyLabels admission plugin)."""
    node = view.get(Key("", "nodes", "", binding["target"]["name"]))
    found = {name: node.labels[name] for name in TOPOLOGY if name in node.labels} if node is not None else {}
    if not found:
        return binding
    labels = {**(binding["metadata"].get("labels") or {}), **found}
    return {**binding, "metadata": {**binding["metadata"], "labels": labels}}


def _validate(binding: Object) -> None:
    target = binding.get("target") or {}
    errors = []
    if target.get("kind", "") not in ("", "Node"):
        errors.append(
            f'target.kind: Unsupported value: {fields.quoted(target["kind"])}: supported values: "Node", "<empty>"'
        )
    if not target.get("name"):
        errors.append(str(fields.required("target.name")))
    if errors:
        # Upstream returns the bare list of field errors, which no code is mapped to.
        raise StatusError(500, "", errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")


def bound(pod: Object, binding: Object, now: str) -> Object:
    """The pod on its node, with the binding's labels and annotations and the PodScheduled condition."""
    metadata, spec = pod["metadata"], pod["spec"]
    name, resource = metadata["name"], GroupResource("", "pods/binding")
    given = binding["metadata"]
    if given.get("uid") and given["uid"] != metadata["uid"]:
        why = f"Precondition failed: UID in precondition: {given['uid']}, UID in object meta: {metadata['uid']}"
        raise conflict(resource, name, why)
    if metadata.get("deletionTimestamp"):
        raise conflict(resource, name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise conflict(resource, name, f"pod {name} is already assigned to node {fields.quoted(spec['nodeName'])}")
    if spec.get("schedulingGates"):
        raise conflict(resource, name, f"pod {name} has non-empty .spec.schedulingGates")
    status = {**(pod.get("status") or {})}
    status["conditions"] = _scheduled(status.get("conditions") or [], now)
    merged: Object = {**metadata}
    for part in ("labels", "annotations"):
        if given.get(part):
            merged[part] = {**(metadata.get(part) or {}), **given[part]}
    return {**pod, "metadata": merged, "spec": {**spec, "nodeName": binding["target"]["name"]}, "status": status}


def _scheduled(conditions: list[dict[str, Any]], now: str) -> list[dict[str, Any]]:
    others = [one for one in conditions if one["type"] != "PodScheduled"]
    return [*others, {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}]

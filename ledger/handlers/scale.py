"""scale: the replicas of any resource that declares where they are, as an autoscaling/v1 Scale."""

from __future__ import annotations

from ledger.apimachinery import field as fields
from ledger.apimachinery.http import Response
from ledger.apimachinery.resource import Object, Schema
from ledger.apimachinery.status import StatusError, bad_request, invalid, not_found
from ledger.handlers.api import Api, warn
from ledger.handlers.patch import patch_type_of
from ledger.handlers.update import check_name
from ledger.projections.api import Stored, View
from ledger.registry.body import decode
from ledger.registry.decide import value_at, with_value_at
from ledger.registry.options import APPLY_CONTENT_TYPES, WriteOptions, query_of, write_options
from ledger.registry.patching import check_patch, patcher
from ledger.registry.registry import Call, Transform
from ledger.registry.scales import SCALE, scale_of
from ledger.scheme.definition import ScalePaths
from ledger.scheme.schemas import resolved_definitions

UNSET_REPLICAS = -(1 << 31)  # what a patch finds where a custom resource says nothing (scaleUpdatedObjectInfo)


async def scale(api: Api, call: Call) -> Response:
    """get, update and patch of .../scale."""
    method = call.request.method
    if method == "GET":
        revision = call.request.scratch.get("revision")
        with api.store.view(revision) as view:
            stored = view.get(call.key)
        if stored is None:
            raise not_found(call.definition.group_resource, call.name)
        return await _answer(api, call, stored)
    options, transform = await (_update(api, call) if method == "PUT" else _patch(api, call))
    applies = method == "PATCH" and patch_type_of(call) in APPLY_CONTENT_TYPES
    written = await api.registry.update(call, transform, options, tracked=applies)
    return await _answer(api, call, written.stored)


async def _update(api: Api, call: Call) -> tuple[WriteOptions, Transform]:
    options = write_options(query_of(call.request), "UpdateOptions")
    body = await call.request.read_body()
    content_type = call.request.headers.get("content-type")
    wanted, warnings = api.behaviour.decode_kind(SCALE, body, content_type, options.field_validation)
    warn(call.request, warnings)
    check_name(call, wanted)

    def transform(live: Object | None, _view: View) -> Object:
        assert live is not None
        return _scaled(call, live, wanted)

    return options, transform


async def _patch(api: Api, call: Call) -> tuple[WriteOptions, Transform]:
    patch_type = patch_type_of(call)
    options = write_options(query_of(call.request), "PatchOptions", patch_type=patch_type)
    body = await call.request.read_body()
    if patch_type in APPLY_CONTENT_TYPES:
        return options, _apply(api, call, body, options)
    check_patch(body)
    change, complaints = patcher(patch_type, body, _schema(), options.field_validation != "Ignore")
    warn(call.request, complaints)

    def transform(live: Object | None, _view: View) -> Object:
        assert live is not None
        wanted = change(scale_of(_paths(call), live, unset=UNSET_REPLICAS))
        if (wanted.get("spec") or {}).get("replicas") == UNSET_REPLICAS:
            raise bad_request(f'the spec replicas field ".{_paths(call).spec_replicas}" cannot be empty')
        check_name(call, wanted)
        return _scaled(call, live, wanted)

    return options, transform


def _schema() -> Schema:
    return resolved_definitions()["io.k8s.api.autoscaling.v1.Scale"]


def _apply(api: Api, call: Call, body: bytes, options: WriteOptions) -> Transform:
    """An applied Scale is an apply of the replicas it names to the object itself (fieldmanager's ScaleHandler)."""
    config, warnings = api.behaviour.decode_applied(body, options.field_validation)
    warn(call.request, warnings)

    def transform(live: Object | None, _view: View) -> Object:
        if (config.get("apiVersion"), config.get("kind")) != (SCALE.api_version, SCALE.kind):
            raise bad_request(f"invalid object type: {config.get('apiVersion', '')}, Kind={config.get('kind', '')}")
        if call.definition.custom:
            raise _no_apply(config)
        whole: Object = {
            "apiVersion": call.version.kind.api_version,
            "kind": call.version.kind.kind,
            "metadata": {"name": (config.get("metadata") or {}).get("name", "")},
        }
        replicas = value_at(config, "spec.replicas")
        if replicas is not None:
            whole = with_value_at(whole, _paths(call).spec_replicas, replicas)
        check_name(call, whole)
        return api.behaviour.apply(call.definition, call.version, live, whole, options, "scale", api.clock())

    return transform


def _no_apply(config: Object) -> StatusError:
    """Upstream cannot apply a Scale to a custom resource: its converter knows no other group."""
    metadata = config.get("metadata") or {}
    shown = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; autoscaling/v1, Kind=Scale"
    why = "request to convert CR to an invalid group/version: autoscaling/v1"
    return StatusError(500, "", f"failed to convert new object ({shown}) to proper version: {why}")


def _paths(call: Call) -> ScalePaths:
    assert call.version.scale is not None
    return call.version.scale


async def _answer(api: Api, call: Call, stored: Stored) -> Response:
    shown = await api.shown(call, [stored], lambda: _shown(api, call, stored))
    return api.encoder.plain(call.request, SCALE, shown, 200)


def _shown(api: Api, call: Call, stored: Stored) -> Object:
    return scale_of(_paths(call), api.behaviour.from_storage(call.definition, call.version, decode(stored)))


def _scaled(call: Call, live: Object, wanted: Object) -> Object:
    """The live object with the Scale's replicas, and its resourceVersion and uid as preconditions."""
    replicas = (wanted.get("spec") or {}).get("replicas", 0)
    if replicas < 0 and not call.definition.custom:
        why = "must be greater than or equal to 0"
        raise invalid("autoscaling", "Scale", call.name, [fields.invalid("spec.replicas", replicas, why)])
    scaled = with_value_at(live, _paths(call).spec_replicas, replicas)
    given = wanted["metadata"]
    metadata = dict(live["metadata"])
    if given.get("resourceVersion"):
        metadata["resourceVersion"] = given["resourceVersion"]
    if given.get("uid"):
        metadata["uid"] = given["uid"]
    return {**scaled, "metadata": metadata}

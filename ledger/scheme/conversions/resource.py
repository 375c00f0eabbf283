"""resource.k8s.io/v1beta1, where requests and devices had one level more or less than in v1.

Follows pkg/apis/resource/v1beta1/conversion.go in k8s.io/kubernetes.
"""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.conversions.steps import Steps, each, with_spec

_EXACTLY = (
    "deviceClassName",
    "selectors",
    "allocationMode",
    "count",
    "adminAccess",
    "tolerations",
    "capacity",
    "derivedAttributes",
)


def _request_to_v1(request: dict[str, Any]) -> dict[str, Any]:
    exactly = {key: request[key] for key in _EXACTLY if key in request}
    rest = {key: value for key, value in request.items() if key not in _EXACTLY}
    if not exactly:
        return rest
    name = {"name": rest.pop("name")} if "name" in rest else {}
    return {**name, "exactly": exactly, **rest}


def _request_from_v1(request: dict[str, Any]) -> dict[str, Any]:
    if "exactly" not in request:
        return request
    rest = {key: value for key, value in request.items() if key != "exactly"}
    name = {"name": rest.pop("name")} if "name" in rest else {}
    return {**name, **request["exactly"], **rest}


def _device_to_v1(device: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in device.items() if key != "basic"}
    return rest | (device.get("basic") or {})


def _device_from_v1(device: dict[str, Any]) -> dict[str, Any]:
    name = {"name": device["name"]} if "name" in device else {}
    return {**name, "basic": {key: value for key, value in device.items() if key != "name"}}


def _in_claim(change: Any) -> Any:
    """`change` for each request of a ResourceClaimSpec."""

    def spec(value: dict[str, Any]) -> dict[str, Any]:
        devices = value.get("devices")
        if not isinstance(devices, dict) or "requests" not in devices:
            return value
        return {**value, "devices": {**devices, "requests": each(devices["requests"], change)}}

    return spec


def _in_template(change: Any) -> Any:
    def spec(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "spec": _in_claim(change)(value["spec"])} if isinstance(value.get("spec"), dict) else value

    return spec


def _in_slice(change: Any) -> Any:
    def spec(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "devices": each(value["devices"], change)} if "devices" in value else value

    return spec


def _steps(inside: Any, to_v1: Any, from_v1: Any) -> Steps:
    def to_stored(obj: Object) -> Object:
        return with_spec(obj, inside(to_v1))

    def from_stored(obj: Object) -> Object:
        return with_spec(obj, inside(from_v1))

    return Steps(to_stored, from_stored)


_GROUP, _VERSION = "resource.k8s.io", "v1beta1"
STEPS = {
    (_GROUP, _VERSION, "ResourceClaim"): _steps(_in_claim, _request_to_v1, _request_from_v1),
    (_GROUP, _VERSION, "ResourceClaimTemplate"): _steps(_in_template, _request_to_v1, _request_from_v1),
    (_GROUP, _VERSION, "ResourceSlice"): _steps(_in_slice, _device_to_v1, _device_from_v1),
}

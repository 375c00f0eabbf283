"""/openapi/v2: one document for everything, made from the v3 documents.

v2 has a reference where v3 has an allOf around it, and neither defaults nor alternatives of types. Parameters that
many operations share stand once, named with a hash of their text (kube-openapi pkg/builder/parameters.go).
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ledger.apimachinery.resource import Object, Schema
from ledger.scheme import openapi, openapi_gnostic, openapi_merge
from ledger.scheme.data_files import load_json
from ledger.scheme.openapi import go_json
from ledger.scheme.openapi_paths import META
from ledger.scheme.schemas import PREFIX
from ledger.scheme.scheme import Scheme

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_ORDER_OF_PRODUCTS = (
    "text/plain",
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
)
_ORDER_OF_PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "application/apply-patch+cbor",
)


class Swagger(NamedTuple):
    body: bytes
    etag: str  # upper-case hexadecimal, without quotes


@functools.lru_cache(maxsize=2)
def swagger(scheme: Scheme) -> Swagger:
    """The document as JSON."""
    return _hashed(go_json(build(scheme)))


@functools.lru_cache(maxsize=2)
def gnostic(scheme: Scheme) -> Swagger:
    """The document as protobuf."""
    return _hashed(openapi_gnostic.encode(build(scheme)))


class Merged:
    """The document with what others publish. Made again when `changes`, or the scheme, is another."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Scheme, int, Swagger]] = {}

    def of(self, scheme: Scheme, form: str, others: Sequence[Object], changes: int) -> Swagger:
        """`form`: "json" or "protobuf"."""
        if not others:
            return swagger(scheme) if form == "json" else gnostic(scheme)
        made = self._made.get(form)
        if made is None or made[:2] != (scheme, changes):
            document = openapi_merge.merged(build(scheme), others)
            body = go_json(document) if form == "json" else openapi_gnostic.encode(document)
            made = self._made[form] = (scheme, changes, _hashed(body))
        return made[2]


def _hashed(body: bytes) -> Swagger:
    return Swagger(body, hashlib.sha512(body).hexdigest().upper())


def build(scheme: Scheme) -> dict[str, Any]:
    """The document as an object."""
    paths: dict[str, Any] = {}
    definitions: dict[str, Schema] = {}
    for name in openapi.names(scheme):
        document = openapi.build(scheme, name)
        assert document is not None
        paths |= {path: _path_item(item) for path, item in document["paths"].items()}
        definitions |= document["components"].get("schemas", {})
    for name in (META + "DeleteOptions", META + "WatchEvent"):
        definitions[name] |= {"x-kubernetes-group-version-kind": openapi.registered(name, openapi.ELSEWHERE)}
    bearer = {"description": "Bearer Token authentication", "type": "apiKey", "name": "authorization", "in": "header"}
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": load_json("resources.json")["kubernetes"].rpartition(".")[0]},
        "paths": dict(sorted(paths.items())),
        "definitions": {name: _schema(one) for name, one in sorted(definitions.items())},
        "parameters": _share(paths),
        "securityDefinitions": {"BearerToken": bearer},
        "security": [{"BearerToken": []}],
    }


# What v3 says and v2 does not.
_DROPPED = ("default", "anyOf", "nullable")


def _schema(schema: Schema) -> Schema:
    """A v3 schema as v2 has it."""
    custom = _custom_rules(schema)
    if custom is not None:
        return custom
    found: Schema = {}
    for key, value in schema.items():
        if key == "$ref":
            found["$ref"] = _reference(value)
        elif key == "allOf":
            found["$ref"] = _reference(value[0]["$ref"])
        elif key == "oneOf":
            found["type"] = "string"
        elif key == "properties":
            found[key] = {name: _schema(one) for name, one in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            found[key] = _schema(value)
        elif key not in _DROPPED:
            found[key] = value
    if "type" in found and "format" in found and "oneOf" in schema:
        found["format"] = found.pop("format")  # behind the type
    return found


def _custom_rules(schema: Schema) -> Schema | None:
    """What apiextensions' ToStructuralOpenAPIV2 does for kubectl's sake; None where it leaves a schema alone."""
    kept = {key: value for key, value in schema.items() if key == "description" or key.startswith("x-")}
    if schema.get("nullable"):
        return kept | ({"enum": schema["enum"]} if "enum" in schema else {})
    if schema.get("x-kubernetes-int-or-string"):
        return kept
    if schema.get("x-kubernetes-preserve-unknown-fields") and "x-kubernetes-group-version-kind" not in schema:
        return kept
    return None


def _reference(reference: str) -> str:
    return "#/definitions/" + reference[len(PREFIX) :]


def _path_item(item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {method: _operation(item[method]) for method in _METHODS if method in item}
    if "parameters" in item:
        found["parameters"] = [_parameter(one) for one in item["parameters"]]
    return found


def _operation(operation: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody")
    responses = operation["responses"]
    products: Any = {media_type for one in responses.values() for media_type in one.get("content", ())}
    found: dict[str, Any] = {"description": operation["description"]}
    products = sorted(products, key=_place)
    if consumed := _consumed(operation, body, products):
        found["consumes"] = consumed
    found["produces"] = products
    found["schemes"] = ["https"]
    found["tags"] = operation["tags"]
    found["operationId"] = operation["operationId"]
    parameters = [_parameter(one) for one in operation.get("parameters", ())]
    if body:
        parameters.insert(0, _body_parameter(body))
    if parameters:
        found["parameters"] = parameters
    found["responses"] = {code: _response(one) for code, one in responses.items()}
    extensions = {key: value for key, value in operation.items() if key.startswith("x-")}
    if kind := extensions.get("x-kubernetes-group-version-kind"):
        extensions["x-kubernetes-group-version-kind"] = dict(sorted(kind.items()))  # a map in v2, a struct in v3
    return found | {key: operation[key] for key in ("deprecated",) if key in operation} | extensions


def _place(media_type: str) -> tuple[int, str]:
    known = media_type in _ORDER_OF_PRODUCTS
    return (_ORDER_OF_PRODUCTS.index(media_type) if known else len(_ORDER_OF_PRODUCTS), media_type)


def _consumed(operation: dict[str, Any], body: dict[str, Any] | None, products: list[str]) -> list[str]:
    if body:
        return sorted(body["content"], key=(*_ORDER_OF_PATCHES, *_ORDER_OF_PRODUCTS, "*/*").index)
    if "x-kubernetes-action" in operation:
        return ["*/*"]
    return [] if "WellKnown" in operation["tags"] or "openid" in operation["tags"] else products


def _body_parameter(body: dict[str, Any]) -> dict[str, Any]:
    schema = next(iter(body["content"].values()))["schema"]
    found: dict[str, Any] = {"name": "body", "in": "body"}
    if body.get("required"):
        found["required"] = True
    return {**found, "schema": _schema(schema)}


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    schema = parameter["schema"]
    found = {key: schema[key] for key in ("uniqueItems", "type") if key in schema}
    for key in ("description", "name", "in", "required"):
        if key in parameter:
            found[key] = parameter[key]
    return found


def _response(response: dict[str, Any]) -> dict[str, Any]:
    found = {"description": response["description"]}
    for content in response.get("content", {}).values():
        return {**found, "schema": _schema(content["schema"])}
    return found


def _share(paths: dict[str, Any]) -> dict[str, Any]:
    """Replaces parameters in place by references to the shared ones, which are returned by name."""
    shared: dict[str, Any] = {}
    for item in paths.values():
        for owner in (item, *(item[method] for method in _METHODS if method in item)):
            if "parameters" in owner:
                owner["parameters"] = [_shared(one, shared) for one in owner["parameters"]]
    return dict(sorted(shared.items()))


def _shared(parameter: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    if parameter["name"] in ("name", "fieldValidation", "dryRun"):
        return parameter  # kubectl looks for the latter two in each operation
    if parameter["name"] == "body" and ".apimachinery." not in parameter["schema"].get("$ref", ""):
        return parameter
    name = f"{parameter['name']}-{_hash(go_json(parameter))}"
    shared[name] = parameter
    return {"$ref": f"#/parameters/{name}"}


def _hash(text: bytes) -> str:
    """FNV-1 of 64 bits, of which six bytes are shown."""
    value = 0xCBF29CE484222325
    for byte in text:
        value = (value * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF) ^ byte
    return base64.urlsafe_b64encode(value.to_bytes(8, "big")[:6]).decode()

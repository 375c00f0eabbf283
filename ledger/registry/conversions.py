"""Versions of custom resources that only a webhook can make of one another.

What converts is called from code that must not wait: it asks `Conversions.of`, and where the answer is not known yet it
fails with `NotConverted`. Whoever may wait calls that code through `Conversions.run`, which then asks the webhook and calls
it again. What was learnt is forgotten when `run` returns: the webhook may answer differently tomorrow.

Follows pkg/apiserver/conversion/webhook_converter.go of k8s.io/apiextensions-apiserver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any, TypeVar

import orjson

from ledger.apimachinery import json_codec
from ledger.apimachinery.field import quoted
from ledger.apimachinery.objectmeta import validate_annotations, validate_labels
from ledger.apimachinery.resource import GVK, Object, split_api_version
from ledger.apimachinery.status import StatusError, internal_error
from ledger.outbound import answers
from ledger.outbound.client import Client, Timeout
from ledger.outbound.endpoint import Misconfigured, endpoint_of
from ledger.outbound.refusal import CallFailed
from ledger.projections.api import Stored
from ledger.scheme.conversion import NotConverted, by_webhook
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.reviews import Undecodable, decode_review

V1, V1BETA1 = (GVK("apiextensions.k8s.io", version, "ConversionReview") for version in ("v1", "v1beta1"))
_SPOKEN = {"v1": V1, "v1beta1": V1BETA1}
TIMEOUT = Timeout(30.0, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)", 30)
ANSWER_BYTES_MAX = 64 << 20
BATCH_MAX = 500  # objects asked about at once
_EMPTY_RESPONSE: dict[str, Any] = {"uid": "", "convertedObjects": None, "result": {"metadata": {}}}

T = TypeVar("T")
Memo = dict[tuple[str, bytes], Object]  # (wanted apiVersion, the object) -> the object in that version


class NoConversion(StatusError):
    """No webhook made the version that is needed."""


class ConversionFailed(Exception):
    """Why there is no conversion; the text is what follows "conversion webhook for KIND "."""


class Conversions:
    """`client` is None where no webhook may be called (a server that only reads)."""

    def __init__(self, client: Client | None = None, new_uid: Callable[[], str] = lambda: "") -> None:
        self._client, self._new_uid = client, new_uid
        self._memo: Memo | None = None  # of the `run` that is calling just now

    def of(self, definition: ResourceDefinition, obj: Object, wanted: GVK) -> Object:
        """The object in the wanted version. Raises NotConverted; StatusError 500 where nobody can wait."""
        if self._memo is None:
            raise _failed(obj, "failed: no webhook can be called here")
        found = self._memo.get(_key(obj, wanted))
        if found is None:
            raise NotConverted(definition, obj, wanted)
        return deepcopy(found)

    async def run(
        self,
        definition: ResourceDefinition,
        work: Callable[[], T],
        ahead: Callable[[], Iterable[tuple[Object, GVK]]] = tuple,
    ) -> T:
        """What `work` gives. It is called as often as it takes, so it must change nothing but what it returns.

        `ahead`: conversions it is going to need, each (object, wanted version), to be asked for together. Raises
        StatusError 500 when the webhook does not convert.
        """
        if not by_webhook(definition):
            return work()
        memo: Memo = {}
        by_version: dict[GVK, list[Object]] = {}
        for obj, wanted in ahead():
            by_version.setdefault(wanted, []).append(obj)
        for wanted, objects in by_version.items():
            for start in range(0, len(objects), BATCH_MAX):
                await self._learn(memo, definition, objects[start : start + BATCH_MAX], wanted)
        while True:
            before, self._memo = self._memo, memo
            try:
                return work()
            except NotConverted as need:
                missing = need
            finally:
                self._memo = before
            await self._learn(memo, missing.definition, [missing.obj], missing.wanted)

    async def _learn(self, memo: Memo, definition: ResourceDefinition, objects: list[Object], wanted: GVK) -> None:
        try:
            converted = await self._ask(definition, objects, wanted)
        except ConversionFailed as failed:
            raise _failed(objects[0], str(failed)) from None
        for obj, one in zip(objects, converted, strict=True):
            memo[_key(obj, wanted)] = one

    async def _ask(self, definition: ResourceDefinition, objects: list[Object], wanted: GVK) -> list[Object]:
        config = definition.traits.more["conversion"].get("webhook") or {}
        kind = next((_SPOKEN[one] for one in config.get("conversionReviewVersions") or () if one in _SPOKEN), None)
        if kind is None:
            raise ConversionFailed("failed: no supported conversion review versions")
        if self._client is None:
            raise ConversionFailed("failed: this server only reads and calls no webhooks")
        uid = self._new_uid()
        try:
            endpoint = endpoint_of(config.get("clientConfig") or {})
            body = _question(kind, uid, objects, wanted)
            answer = await self._client.post(endpoint, body, TIMEOUT, ANSWER_BYTES_MAX)
            answers.check(answer)
            review = decode_review(answer.body, kind)
        except (Misconfigured, CallFailed, StatusError, Undecodable, ValueError) as error:
            raise ConversionFailed(f"failed: {error}") from None
        return _checked(objects, _converted(review, kind, uid), wanted)


def _key(obj: Object, wanted: GVK) -> tuple[str, bytes]:
    return wanted.api_version, json_codec.dumps_sorted(obj)


def undecodable(stored: Stored, why: StatusError) -> StatusError:
    """What upstream says when it cannot read an object because of that (storage.NewCorruptObjError)."""
    key = stored.key
    place = "/".join(part for part in (key.group, key.resource, key.namespace, key.name) if part)
    cause = f"object not decodable revision={stored.revision}: {why}"
    return internal_error(
        f"StorageError: corrupt object, Code: 7, Key: /{place}, ResourceVersion: 0, AdditionalErrorMsg: {cause}"
    )


def _failed(obj: Object, why: str) -> StatusError:
    return NoConversion(
        500, "", f"conversion webhook for {obj.get('apiVersion', '')}, Kind={obj.get('kind', '')} {why}"
    )


def _question(kind: GVK, uid: str, objects: list[Object], wanted: GVK) -> bytes:
    request = orjson.Fragment(
        b'{"uid":%b,"desiredAPIVersion":%b,"objects":[%b]}'
        % (
            orjson.dumps(uid),
            orjson.dumps(wanted.api_version),
            b",".join(json_codec.dumps_sorted(one) for one in objects),
        )
    )
    head = {"kind": kind.kind, "apiVersion": kind.api_version, "request": request, "response": _EMPTY_RESPONSE}
    return orjson.dumps(head) + b"\n"


def _converted(review: Object, kind: GVK, uid: str) -> list[Any]:
    """The objects of a good answer, unchecked. Raises ConversionFailed."""
    response = review.get("response")
    if kind == V1:
        group_version, name = review.get("apiVersion", ""), review.get("kind", "")
        if (group_version, name) != (V1.api_version, V1.kind):
            given = f"{group_version if '/' in group_version else '/' + group_version}, Kind={name}"
            expected = f"{V1.api_version}, Kind={V1.kind}"
            raise ConversionFailed(f"failed: expected webhook response of {expected}, got {given}")
    if response is None:
        raise ConversionFailed("failed: no response provided")
    if kind == V1 and response.get("uid", "") != uid:
        given = quoted(response.get("uid", ""))
        raise ConversionFailed(f"failed: expected response.uid={quoted(uid)}, got {given}")
    result = response.get("result") or {}
    if result.get("status") != "Success":
        told = result.get("message") or f"response.result.status was '{result.get('status', '')}', not 'Success'"
        raise ConversionFailed(f"failed: {told}")
    return response.get("convertedObjects") or []


def _checked(objects: list[Object], converted: list[Any], wanted: GVK) -> list[Object]:
    """The converted objects with the metadata they had. Raises ConversionFailed for what is none of them."""
    if len(converted) != len(objects):
        raise ConversionFailed(f"returned {len(converted)} objects, expected {len(objects)}")
    found = []
    several = len(objects) > 1
    for index, (obj, one) in enumerate(zip(objects, converted, strict=True)):
        place = f"returned invalid converted object at index {index}" if several else "returned invalid object"
        if not isinstance(one, dict) or not one.get("kind"):
            shown = json_codec.dumps(one).decode()
            missing = f"Object 'Kind' is missing in '{shown}'"
            raise NoConversion(500, "", missing) if not several else ConversionFailed(f"{place}: {missing}")
        _check_kind(obj, one, wanted, place if several else f"{place} at index 0")
        why = _not_the_same(obj, one)
        if why:
            raise ConversionFailed(f"{place}: {why}")
        invalid = f"returned invalid metadata in object at index {index}" if several else "returned invalid metadata"
        found.append(_with_metadata_of(obj, one, invalid))
    return found


def _check_kind(obj: Object, one: Object, wanted: GVK, place: str) -> None:
    given = one.get("apiVersion", "")
    if split_api_version(given) != (wanted.group, wanted.version):
        raise ConversionFailed(f"{place}: invalid groupVersion (expected {wanted.api_version}, received {given})")
    if one["kind"] != obj["kind"]:
        raise ConversionFailed(f"{place}: invalid kind (expected {obj['kind']}, received {one['kind']})")


def _not_the_same(obj: Object, one: Object) -> str:
    before, after = obj.get("metadata") or {}, one.get("metadata")
    after = after if isinstance(after, dict) else {}
    for name, title in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        if before.get(name, "") != after.get(name, ""):
            return f"must have the same {title}: {before.get(name, '')} != {after.get(name, '')}"
    return ""


def _with_metadata_of(obj: Object, one: Object, invalid: str) -> Object:
    """Only labels and annotations are the webhook's to change. Raises ConversionFailed."""
    given = one.get("metadata")
    if "metadata" not in one:
        raise ConversionFailed(f"{invalid}: missing metadata in converted object")
    if not isinstance(given, dict):
        raise ConversionFailed(f"{invalid}: invalid metadata of type {_go_type(given)} in converted object")
    metadata = deepcopy(obj.get("metadata") or {})
    for name, validate, path in (
        ("labels", validate_labels, "metadata.labels"),
        ("annotations", validate_annotations, "metadata.annotation"),
    ):
        values = given.get(name)
        if values is None:
            metadata.pop(name, None)
            continue
        if not isinstance(values, dict):
            raise ConversionFailed(f"{invalid}: invalid metadata.{name} of type {_go_type(values)} in converted object")
        for key, value in values.items():
            if not isinstance(value, str):
                what = f"metadata.{name}[{key}] must be a string, but is {_go_type(value)} in converted object"
                raise ConversionFailed(f"{invalid}: {what}")
        if values != metadata.get(name):
            errors = validate(values, path)
            if errors:
                texts = [str(error) for error in errors]
                raise ConversionFailed(f"{invalid}: {texts[0] if len(texts) == 1 else '[' + ', '.join(texts) + ']'}")
        metadata[name] = values
    return {**one, "metadata": metadata}


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "int64" if isinstance(value, int) else "float64"
    names: dict[type, str] = {str: "string", list: "[]interface {}", dict: "map[string]interface {}"}
    return names.get(type(value), "<nil>")

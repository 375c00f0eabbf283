"""Events as audit.k8s.io/v1 records again: what an import reads, an export gives back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from ledger.apimachinery.http import User
from ledger.apimachinery.resource import Object
from ledger.apimachinery.times import rfc3339_micro
from ledger.log.event import IMPORTED, Event
from ledger.replay.past import Past, decode
from ledger.replay.requests import object_key

WITH_REQUEST = frozenset({"Request", "RequestResponse"})


def records(past: Past, after: int, upto: int, namespace: str = "") -> Iterator[Object]:
    """Audit records of the events at positions after `after` up to and including `upto`, in the log's order."""
    for event in past.store.events(after, upto - after):
        if event.stage == IMPORTED or (namespace and event.namespace != namespace):
            continue
        yield record_of(past, event)


def record_of(past: Past, event: Event) -> Object:
    """One audit record; members in the order kube-apiserver writes them."""
    rest: Object = orjson.loads(event.rest) if event.rest else {}
    record: Object = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": event.level,
        "auditID": event.audit_id,
        "stage": event.stage,
        "requestURI": event.uri,
        "verb": event.verb,
        "user": _user(event.user),
    }
    if event.impersonated is not None:
        record["impersonatedUser"] = _user(event.impersonated)
    if event.source_ips:
        record["sourceIPs"] = list(event.source_ips)
    if event.user_agent:
        record["userAgent"] = event.user_agent
    if event.resource:
        record["objectRef"] = {**_object_ref(event), **rest.pop("objectRef", {})}
    record["responseStatus"] = {**_status(event), **rest.pop("responseStatus", {})}
    if event.level in WITH_REQUEST and event.request_body:
        _put_json(record, "requestObject", event.request_body)
    if event.level == "RequestResponse":
        _put_answer(past, record, event)
    record["requestReceivedTimestamp"] = rfc3339_micro(event.received)
    record["stageTimestamp"] = rfc3339_micro(event.answered)
    if event.annotations:
        record["annotations"] = dict(event.annotations)
    return {**record, **rest}


def _user(user: User) -> Object:
    shown: Object = {"username": user.name}
    if user.uid:
        shown["uid"] = user.uid
    if user.groups:
        shown["groups"] = list(user.groups)
    if user.extra:
        shown["extra"] = {name: list(values) for name, values in user.extra.items()}
    return shown


def _object_ref(event: Event) -> Object:
    pairs = (
        ("resource", event.resource),
        ("namespace", event.namespace),
        ("name", event.name),
        ("uid", event.uid),
        ("apiGroup", event.api_group),
        ("apiVersion", event.api_version),
        ("subresource", event.subresource),
    )
    return {name: value for name, value in pairs if value}


def _status(event: Event) -> Object:
    status: Object = {"metadata": {}}
    if event.message:
        status["message"] = event.message
    if event.reason:
        status["reason"] = event.reason
    status["code"] = event.code
    return status


def _put_json(record: Object, name: str, raw: bytes) -> None:
    try:
        record[name] = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return  # protobuf or YAML bytes of an own server: audit records hold JSON only


def _put_answer(past: Past, record: Object, event: Event) -> None:
    """The answer as it was kept, else the object as the request's change left it."""
    if event.response_body:
        _put_json(record, "responseObject", event.response_body)
        return
    answer = _from_change(past, event)
    if answer is not None:
        record["responseObject"] = answer


def _from_change(past: Past, event: Event) -> Any:
    key = object_key(event)
    for revision in event.revisions:
        change = past.store.change(revision)
        if change is None or change.body is None or change.key[:3] != key[:3]:
            continue
        return decode(change) if not change.confidence else None
    return None

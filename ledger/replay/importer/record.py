"""One audit record as the parts that the rules look at, and as the Event that the log keeps."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import orjson

from ledger.apimachinery.http import User
from ledger.apimachinery.resource import Key, Object
from ledger.apimachinery.times import parse_rfc3339
from ledger.log.event import Event
from ledger.replay.importer.lines import RawRecord

# Resources that several groups serve from one storage (k8s.io/kubernetes: cohabiting resources).
STORED_AS: dict[tuple[str, str], tuple[str, str]] = {
    ("events.k8s.io", "events"): ("", "events"),
    ("extensions", "daemonsets"): ("apps", "daemonsets"),
    ("extensions", "deployments"): ("apps", "deployments"),
    ("extensions", "replicasets"): ("apps", "replicasets"),
    ("extensions", "ingresses"): ("networking.k8s.io", "ingresses"),
    ("extensions", "networkpolicies"): ("networking.k8s.io", "networkpolicies"),
}

WRITE_VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection"})

_KNOWN_MEMBERS = frozenset(
    ["kind", "apiVersion", "level", "auditID", "stage", "requestURI", "verb", "user", "impersonatedUser", "sourceIPs"]
    + ["userAgent", "objectRef", "responseStatus", "requestObject", "responseObject", "annotations"]
    + ["requestReceivedTimestamp", "stageTimestamp"]
)
_KNOWN_STATUS = frozenset({"metadata", "code", "reason", "message"})


class Unusable(ValueError):
    """A record whose parts are not of the shape that audit.k8s.io/v1 gives them."""


class Facts(NamedTuple):
    """What the rules ask of a record."""

    verb: str
    subresource: str
    key: Key
    version: str  # objectRef's apiVersion, without the group
    code: int
    uri: str
    uid: str  # objectRef's
    held: int  # the object's revision before this write, where the request names it; 0: it does not
    request: Any  # requestObject: an object, a JSON patch (list), or None
    answer: Object | None  # responseObject, where it is an object
    received: int
    answered: int
    agent: str = ""  # userAgent

    @property
    def meta(self) -> Object:
        """metadata of the answer, empty where there is none."""
        return (self.answer or {}).get("metadata") or {}

    @property
    def revision(self) -> int:
        return revision_of(self.meta)

    @property
    def kind(self) -> str:
        return (self.answer or {}).get("kind") or ""


def facts_of(record: RawRecord) -> Facts:
    """What the rules ask of a record that `check_record` let through. Raises Unusable for times that are none."""
    reference: Object = record.get("objectRef") or _NOTHING
    answer = record.get("responseObject")
    request = record.get("requestObject")
    return Facts(
        record["verb"],
        reference.get("subresource", ""),
        _key(reference, answer),
        reference.get("apiVersion", ""),
        (record.get("responseStatus") or _NOTHING).get("code") or 0,
        record["requestURI"],
        reference.get("uid", ""),
        _held(reference, request),
        request,
        answer,
        micros(record["requestReceivedTimestamp"]),
        micros(record["stageTimestamp"]),
        str(record.get("userAgent") or ""),
    )


_NOTHING: Object = {}


def _key(reference: Object, answer: Object | None) -> Key:
    group, resource = reference.get("apiGroup", ""), reference.get("resource", "")
    if (group, resource) in STORED_AS:
        group, resource = STORED_AS[group, resource]
    name, namespace = reference.get("name", ""), reference.get("namespace", "")
    if not name and answer and not answer.get("items"):
        name = (answer.get("metadata") or _NOTHING).get("name") or ""  # generateName: only the answer tells it
    if resource == "namespaces" and not group:
        namespace = ""  # a namespace's objectRef names itself in both places
    return Key(group, resource, namespace, name)


def check_record(record: RawRecord) -> None:
    """What the rest relies on, so that a record is either used whole or not at all. Raises Unusable."""
    for value in _part(record, "objectRef").values():
        if type(value) is not str:
            raise Unusable("objectRef has members that are not strings")
    answer = record.get("responseObject")
    if answer is not None:
        check_object(answer)
    status = _part(record, "responseStatus")
    if type(status.get("code", 0)) is not int:
        raise Unusable("responseStatus.code is not a number")
    for name, text in (("level", record), ("userAgent", record), ("reason", status), ("message", status)):
        if type(text.get(name) or "") is not str:
            raise Unusable(f"{name} is not a string")
    for name in ("user", "impersonatedUser"):
        if name in record:
            _check_user(name, _part(record, name))
    if not _are_strings(record.get("sourceIPs") or []):
        raise Unusable("sourceIPs is not a list of strings")
    for text in _part(record, "annotations").values():
        if type(text) is not str:
            raise Unusable("annotations are not strings")


def _check_user(name: str, user: Object) -> None:
    if type(user.get("username") or "") is not str or type(user.get("uid") or "") is not str:
        raise Unusable(f"{name} is not a user")
    extra = user.get("extra") or {}
    if not _are_strings(user.get("groups") or []) or type(extra) is not dict:
        raise Unusable(f"{name} is not a user")
    if not all(_are_strings(values) for values in extra.values()):
        raise Unusable(f"{name} is not a user")


def _are_strings(values: Any) -> bool:
    return type(values) is list and all(type(one) is str for one in values)


def check_object(answer: Any) -> None:
    """Raises Unusable unless it is an object, or a list of objects, with metadata as Kubernetes has it."""
    if not isinstance(answer, dict):
        raise Unusable("responseObject is not an object")
    meta = answer.get("metadata") or {}
    if type(meta) is not dict or type(meta.get("resourceVersion", "")) is not str:
        raise Unusable("the answer's metadata is not that of an object")
    if type(answer.get("kind") or "") is not str or type(answer.get("apiVersion") or "") is not str:
        raise Unusable("the answer's kind is not a string")
    if type(meta.get("name", "")) is not str or type(meta.get("labels") or {}) is not dict:
        raise Unusable("the answer's metadata is not that of an object")
    if type(meta.get("finalizers") or []) is not list:
        raise Unusable("the answer's metadata is not that of an object")
    items = answer.get("items")
    if isinstance(items, list) and str(answer.get("kind", "")).endswith("List"):
        for item in items:
            check_object(item)


def _held(reference: Object, request: Any) -> int:
    named = reference.get("resourceVersion")
    if not named and type(request) is dict and type(preconditions := request.get("preconditions")) is dict:
        named = preconditions.get("resourceVersion")
    return _number(named) if named else 0


def revision_of(meta: Object) -> int:
    """metadata.resourceVersion as a number; 0 where there is none."""
    return _number(meta.get("resourceVersion"))


def _number(text: Any) -> int:
    """Revisions of etcd have 63 bits; a longer number is none."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 18 else 0


def _part(record: RawRecord, name: str) -> Object:
    part = record.get(name) or _NOTHING
    if type(part) is not dict:
        raise Unusable(f"{name} is not an object")
    return part


def micros(text: str) -> int:
    """Microseconds since 1970. Raises Unusable."""
    try:
        # The usual form, second by second the same: "2026-11-22T21:16:07.031521Z".
        if len(text) == 27 and text[19] == "." and text[26] == "Z":
            return _second(text[:19]) + int(text[20:26])
        return parse_rfc3339(text)
    except ValueError as error:
        raise Unusable(f"{text!r} is not a time") from error


@lru_cache(maxsize=4096)
def _second(text: str) -> int:
    return parse_rfc3339(text + "Z")


def query_of(uri: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(uri).query, keep_blank_values=True)


def event_of(record: RawRecord, facts: Facts, *, without_answer: bool = False) -> Event:
    """The log's Event of a record; the answer is left out where a change holds it too."""
    reference: Object = record.get("objectRef") or _NOTHING
    status: Object = record.get("responseStatus") or _NOTHING
    request, answer = facts.request, facts.answer
    impersonated = record.get("impersonatedUser")
    return Event(
        audit_id=record["auditID"],
        received=facts.received,
        answered=facts.answered,
        verb=facts.verb,
        uri=facts.uri,
        user=_user(record.get("user") or {}),
        code=facts.code,
        impersonated=_user(impersonated) if isinstance(impersonated, dict) else None,
        source_ips=tuple(record.get("sourceIPs") or ()),
        user_agent=record.get("userAgent") or "",
        api_group=reference.get("apiGroup", ""),
        api_version=reference.get("apiVersion", ""),
        resource=reference.get("resource", ""),
        subresource=facts.subresource,
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
        uid=facts.uid,
        reason=status.get("reason") or "",
        message=status.get("message") or "",
        stage=record["stage"],
        level=record.get("level") or "",
        content_type="application/json" if request is not None else "",
        request_body=orjson.dumps(request) if request is not None else b"",
        response_body=b"" if answer is None or without_answer else orjson.dumps(answer),
        annotations=record.get("annotations") or {},
        rest=_rest(record, reference, status),
    )


def _user(raw: Object) -> User:
    groups, extra = raw.get("groups") or (), raw.get("extra")
    if extra:
        fixed = tuple((name, tuple(values)) for name, values in extra.items())
    else:
        fixed = ()
    return _shared_user(raw.get("username") or "", raw.get("uid") or "", tuple(groups), fixed)


@lru_cache(maxsize=4096)
def _shared_user(name: str, uid: str, groups: tuple[str, ...], extra: tuple[tuple[str, tuple[str, ...]], ...]) -> User:
    return User(name, uid, groups, dict(extra))


def _rest(record: RawRecord, reference: Object, status: Object) -> bytes:
    """What the Event's own fields cannot hold, so that an export gives an equivalent record back."""
    rest = {name: record[name] for name in record.keys() - _KNOWN_MEMBERS}
    if "resourceVersion" in reference:
        rest["objectRef"] = {"resourceVersion": reference["resourceVersion"]}
    if beyond := status.keys() - _KNOWN_STATUS:
        rest["responseStatus"] = {name: status[name] for name in sorted(beyond)}
    return orjson.dumps(rest, option=orjson.OPT_SORT_KEYS) if rest else b""

"""Answers as JSON: field names are the audit log's and Kubernetes' own; revisions are strings, absent values absent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from ledger.apimachinery.http import User
from ledger.apimachinery.resource import Key, Object
from ledger.apimachinery.times import rfc3339_micro
from ledger.log.event import Event
from ledger.replay.classify import class_of
from ledger.replay.comparison import AttributedField, Cause, ObjectDifference
from ledger.replay.fielddiff import FieldChange
from ledger.replay.lives import FieldValue, Version
from ledger.replay.moments import Moment
from ledger.replay.overview import Overview
from ledger.replay.past import Past
from ledger.replay.paths import ABSENT, path_json
from ledger.replay.requests import Happening, ObjectChange
from ledger.replay.unknowable import Unknowable

API_VERSION = "replay.ledger.dev/v1alpha1"


def document(kind: str, past: Past, source: str, query: Object, items: Iterable[Any], summary: Object) -> Object:
    """A whole answer; `items` may be consumed lazily by whoever encodes it, so `summary` is read last."""
    listed = list(items)
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "source": {"dataDir": source, "head": {"revision": str(past.head), "time": rfc3339_micro(past.ends)}},
        "query": query,
        "items": listed,
        "summary": {"items": len(listed), **summary},
    }


def moment_json(moment: Moment) -> Object:
    return {"revision": str(moment.revision), "time": rfc3339_micro(moment.time), "given": moment.given}


def object_json(key: Key, api_version: str = "", uid: str = "") -> Object:
    version = api_version.rpartition("/")[2]
    parts = [part for part in (key.group, version, key.resource) if part]
    shown: Object = {"gvr": "/".join(parts), "namespace": key.namespace, "name": key.name}
    if uid:
        shown["uid"] = uid
    return shown


def request_json(event: Event, revision: int = 0) -> Object:
    """The request behind a change: who is authenticated, and the rule that let it pass."""
    shown: Object = {"auditID": event.audit_id}
    if revision:
        shown["revision"] = str(revision)
    shown |= {
        "class": class_of(event),
        "verb": event.verb,
        "user": _user(event.user),
        "impersonatedUser": _user(event.impersonated) if event.impersonated else None,
        "received": rfc3339_micro(event.received),
        "answered": rfc3339_micro(event.answered),
        "code": event.code,
    }
    if event.subresource:
        shown["subresource"] = event.subresource
    if decision := event.annotations.get("authorization.k8s.io/decision"):
        shown["decision"] = decision
    shown["reason"] = event.annotations.get("authorization.k8s.io/reason", "")
    if event.message:
        shown["message"] = event.message
    return shown


def _user(user: User) -> Object:
    return {"username": user.name, "groups": list(user.groups)}


def claims_json(event: Event) -> Object:
    """What the client said about itself; nobody checked it."""
    claims: Object = {}
    if manager := parse_qs(urlsplit(event.uri).query).get("fieldManager"):
        claims["fieldManager"] = manager[0]
    if event.user_agent:
        claims["userAgent"] = event.user_agent
    return claims


def field_json(change: FieldChange) -> Object:
    shown: Object = {"path": path_json(change.path), "exists": change.after is not ABSENT}
    if change.after is not ABSENT:
        shown["value"] = change.after
    if change.before is not ABSENT:
        shown["previous"] = change.before
    return shown


def happening_json(found: Happening) -> Object:
    return {
        "change": request_json(found.event, found.revision),
        "claims": claims_json(found.event),
        "uri": found.event.uri,
        "confidence": found.confidence,
        "objects": [_object_change(one) for one in found.changes],
    }


def _object_change(one: ObjectChange) -> Object:
    change = one.change
    shown = object_json(one.key, change.api_version if change else "", change.uid if change else "")
    answer: Object = {"object": shown, "what": one.what, "confidence": one.confidence, "evidence": evidence(one)}
    if change is not None:
        answer["revision"] = str(change.revision)
    answer["fields"] = [field_json(field) for field in one.difference.fields]
    return answer


def evidence(one: ObjectChange) -> str:
    return one.change.note if one.change and one.change.note else "responseObject"


def version_json(version: Version) -> Object:
    answer = _object_change(version.change)
    if version.reread:
        answer |= {"revision": str(version.revision), "evidence": REREAD}
    return {**answer, "life": version.life, **_cause(version)}


def value_json(found: FieldValue, path: Any) -> Object:
    change = found.version.change.change
    assert change is not None
    answer: Object = {"object": object_json(found.version.change.key, change.api_version, change.uid), "path": path}
    answer["exists"] = found.value is not ABSENT
    if found.value is not ABSENT:
        answer["value"] = found.value
    if found.previous is not ABSENT:
        answer["previous"] = found.previous
    answer["confidence"] = "unknown" if found.perhaps else found.version.change.confidence
    if found.perhaps:
        answer["perhaps"] = True
    answer["evidence"] = REREAD if found.version.reread else evidence(found.version.change)
    return {**answer, **_cause(found.version)}


REREAD = "no write: a new schema of its definition reads the stored object differently"


def _cause(version: Version) -> Object:
    if version.event is None:
        return {}
    return {"change": request_json(version.event, version.revision), "claims": claims_json(version.event)}


def difference_json(found: ObjectDifference) -> Object:
    last = found.causes[-1].state.stored
    return {
        "object": object_json(found.key, last.api_version, last.uid),
        "what": {"+": "created", "-": "deleted", "~": "changed"}[found.mark],
        "askedFor": found.asked_for,
        "confidence": found.doubt or "known",
        "fields": [_attributed(one) for one in found.fields],
        "changes": [_cause_json(cause) for cause in found.causes],
        "hidden": {"noise": found.noise},
    }


def _attributed(one: AttributedField) -> Object:
    shown = field_json(one.field)
    if one.returned:
        shown["returned"] = True
    shown["changes"] = [_cause_json(cause) for cause in one.causes]
    return shown


def _cause_json(cause: Cause) -> Object:
    if cause.event is None:
        return {"revision": str(cause.change.revision)}
    return request_json(cause.event, cause.change.revision)


def overview_json(found: Overview, past: Past, quality: bool) -> Object:
    shown: Object = {
        "events": found.events,
        "begins": rfc3339_micro(past.begins),
        "ends": rfc3339_micro(past.ends),
        "finished": past.finished,
        "revision": str(past.head),
        "classes": dict(found.classes),
        "writers": dict(found.writers.most_common()),
        "levels": [
            {"resource": resource, "level": level, "writes": count}
            for (resource, level), count in sorted(found.levels.items())
        ],
        "objects": dict(found.objects),
        "changes": dict(found.changes),
    }
    if losses := past.losses():
        shown["dropped"] = losses
    if found.imported is not None:
        shown["imported"] = found.imported
    if quality:
        shown["doubts"] = [
            {
                "object": object_json(doubt.key),
                "revision": str(doubt.revision),
                "time": rfc3339_micro(doubt.time),
                "confidence": doubt.confidence,
                "why": doubt.why,
            }
            for doubt in found.doubts
        ]
    return shown


def unknowable_json(found: Unknowable) -> Object:
    """{"revision", "resources": [{group, resource, namespace, after, fields, why}], "objects": [{object, since, ...}]}."""
    return {
        "revision": str(found.revision),
        "resources": [
            {
                **one.resource._asdict(),
                "namespace": one.namespace,
                "after": str(one.after),
                "fields": list(one.fields),
                "why": one.why,
            }
            for one in found.resources
        ],
        "objects": [
            {"object": object_json(key), "since": str(gap.since), "fields": list(gap.fields), "why": gap.why}
            for key, gap in found.objects.items()
        ],
    }


def encode(value: Any, *, indent: bool) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0).decode()

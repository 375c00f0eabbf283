"""`--where`: requests chosen by a CEL expression.

user == "alice" && code < 300                          who asked, and how it ended
"devs" in groups && resource == "configmaps"
time > timestamp("2026-11-22T21:17:00Z")
object.?data.DATABASE_PORT.orValue("") == "5433"       what the request left behind
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ledger.log.event import Event
from ledger.replay.classify import is_dry_run
from ledger.replay.past import ReplayError
from ledger.replay.requests import Happening, object_key
from ledger.scheme.cel import BOOL, DYN, STRING, CelError, Environment, Program, Type
from ledger.scheme.cel.types import INT, TIMESTAMP, list_of
from ledger.scheme.cel.values import Timestamp

# What an expression may use; documented in docs/replay.md.
VARIABLES: Mapping[str, Type] = {
    "id": STRING,  # the audit id
    "user": STRING,  # who asked, or was spoken for
    "groups": list_of(STRING),  # of that user
    "authenticated": STRING,  # who asked; differs from `user` where somebody is impersonated
    "verb": STRING,
    "group": STRING,  # of the resource: "apps"; the core group is ""
    "resource": STRING,  # "configmaps"
    "subresource": STRING,
    "ns": STRING,  # the namespace: CEL reserves the whole word
    "name": STRING,
    "uri": STRING,  # with the query
    "agent": STRING,  # the user agent: a claim
    "ips": list_of(STRING),
    "code": INT,  # HTTP status
    "reason": STRING,  # of a failure: "Forbidden"
    "message": STRING,
    "class": STRING,  # intent, reaction, ...
    "dry_run": BOOL,
    "revision": INT,  # the last one it made; 0: none
    "time": TIMESTAMP,  # when it was answered
    "received": TIMESTAMP,
    "annotations": DYN,  # of the audit record
    "confidence": STRING,  # known, inferred, unknown
    "object": DYN,  # the first object it changed, afterwards; null: none, or deleted
    "oldObject": DYN,  # the same, before; null: none, or created
}

_FINDING = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")


class Where:
    """A condition on requests. One that cannot be evaluated for a request counts as false, and in `failed`."""

    def __init__(self, expression: str) -> None:
        """Raises ReplayError where it does not compile, or gives no true or false."""
        self.program = _compiled(expression)
        self.failed = 0
        self.first_failure = ""

    def __call__(self, found: Happening) -> bool:
        try:
            return self.program.evaluate(variables(found)) is True
        except CelError as error:
            self.failed += 1
            self.first_failure = self.first_failure or str(error)
            return False


def _compiled(expression: str) -> Program:
    try:
        program = Environment(VARIABLES).compile(expression)
    except CelError as error:
        raise ReplayError(f"--where does not compile: {_one_line(error)}") from None
    if program.result != BOOL and not program.result.is_dyn:
        raise ReplayError(f"--where gives {program.result}, neither true nor false: {expression}")
    return program


def _one_line(error: CelError) -> str:
    """The first finding with its place; the expression itself is on the command line."""
    first = str(error).splitlines()[0]
    place = _FINDING.match(first)
    if place is None:
        return first
    finding = place[3].replace(" (in container '')", "").partition(" expecting {")[0]
    hint = ". The namespace is ns" if "reserved identifier: namespace" in finding else ""
    return f"line {place[1]}, column {place[2]}: {finding}{hint}"


def variables(found: Happening) -> dict[str, Any]:
    """The values of VARIABLES for one request."""
    event = found.event
    first = found.changes[0] if found.changes else None
    return {
        **_of_event(event),
        "class": found.kind,
        "revision": found.revision,
        "confidence": found.confidence,
        "object": first.after if first else None,
        "oldObject": first.before if first else None,
    }


def _of_event(event: Event) -> dict[str, Any]:
    key, user = object_key(event), event.impersonated or event.user
    return {
        "id": event.audit_id,
        "user": user.name,
        "groups": list(user.groups),
        "authenticated": event.user.name,
        "verb": event.verb,
        "group": key.group,
        "resource": key.resource,
        "subresource": event.subresource,
        "ns": key.namespace,
        "name": key.name,
        "uri": event.uri,
        "agent": event.user_agent,
        "ips": list(event.source_ips),
        "code": event.code,
        "reason": event.reason,
        "message": event.message,
        "dry_run": is_dry_run(event),
        "time": Timestamp(event.answered * 1000),
        "received": Timestamp(event.received * 1000),
        "annotations": event.annotations,
    }

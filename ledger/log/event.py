"""What the log holds: one Event a request, and the Changes that the request made.

A Change is an outcome (the object as it was stored), never an intention: folding the log needs no clock, no random
number and no admission. Bodies stay bytes; nothing below the registry decodes them.

Both are values: never change one. They are not declared frozen because one of each is made for every request, and
several while a log is folded, and a frozen dataclass of thirty fields takes ten times as long to make.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import NamedTuple

from ledger.apimachinery.http import Request, RequestInfo, User
from ledger.apimachinery.resource import Key

IMPORTED = "Imported"  # stage of events that an import made up: they are no request of their own
NO_WINDOW = (0, 0)
NOT_KNOWN = RequestInfo(is_resource=False, path="", verb="")
NOBODY = User("")
EXISTENCE = "existence"  # among a change's doubts: a request that may have deleted the object, or not


@dataclass(slots=True)
class Change:
    """One object as a request left it.

    `body` is the object in list-item form: a JSON object that begins with `{"metadata":{`, without apiVersion and kind
    and without metadata.resourceVersion (the revision is that, and is known only at commit). None: the object is gone.
    """

    key: Key
    body: bytes | None
    uid: str = ""
    api_version: str = ""  # the version `body` is written in: "apps/v1"
    kind: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)  # the selectable ones: {"spec.nodeName": "a"}
    expect: int | None = None  # guard: the object's current revision; 0: must not exist; None: whatever it is
    revision: int = 0  # given by the engine at commit; an import gives its own
    previous: int = 0  # revision of the state this one replaced; 0: there was none. Given by the engine
    confidence: str = ""  # "": known; "inferred": an import concluded it; "unknown": it took place, not what it left
    note: str = ""  # how an import concluded it
    doubts: tuple[str, ...] = ()  # paths of what the log does not tell of it: "status.conditions", "*", EXISTENCE
    window: tuple[int, int] = NO_WINDOW  # between which revisions (both included) it took place, where that is a guess

    def at(self, revision: int, previous: int) -> Change:
        after = (self.confidence, self.note, self.doubts, self.window)
        return Change(*_before_revision(self), revision, previous, *after)  # type: ignore[call-arg]


_before_revision = attrgetter(*[each.name for each in fields(Change)][:-6])


class Guard(NamedTuple):
    """Another object the decision rested on: the append conflicts unless it is still at this revision (0: absent)."""

    key: Key
    revision: int


@dataclass(slots=True)
class Event:
    """One request, as an audit.k8s.io/v1 Event tells it. Times are microseconds since 1970."""

    audit_id: str
    received: int
    answered: int
    verb: str
    uri: str  # with the query
    user: User
    code: int
    impersonated: User | None = None
    source_ips: tuple[str, ...] = ()
    user_agent: str = ""
    api_group: str = ""  # objectRef; resource is empty for requests that name none
    api_version: str = ""  # "v1", without the group
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    reason: str = ""  # of a failure
    message: str = ""
    stage: str = "ResponseComplete"  # ResponseStarted for long-running requests, Panic; Imported: not a request's own
    level: str = "RequestResponse"
    content_type: str = ""  # of request_body
    request_body: bytes = b""
    response_body: bytes = b""  # JSON; only where the answer is not the object that a change holds
    annotations: dict[str, str] = field(default_factory=dict)
    count: int = 1  # above 1: so many alike (a flood of 401 or 429) stand in this one
    rest: bytes = b""  # JSON: what an imported audit record says beyond these fields, under the record's own names
    position: int = 0  # place in the log, from 1; given by the engine
    revisions: tuple[int, ...] = ()  # of the changes it made, in order; given by the engine

    def at(self, position: int, revisions: tuple[int, ...]) -> Event:
        return Event(*_before_position(self), position, revisions)  # type: ignore[call-arg]


_before_position = attrgetter(*[each.name for each in fields(Event)][:-2])


def event_of(
    request: Request, code: int, answered: int, *, reason: str = "", message: str = "", stage: str = "ResponseComplete"
) -> Event:
    """The event of a request that ends with this code. What filters did not get to find out stays empty."""
    info = request.info or NOT_KNOWN
    namespace, name, uid = request.object_ref or (info.namespace, info.name, "")
    real = request.real_user or request.user or NOBODY
    return Event(
        audit_id=request.audit_id,
        received=request.received,
        answered=answered,
        verb=info.verb if info is not NOT_KNOWN else request.method.lower(),
        uri=f"{request.raw_path}?{request.query}" if request.query else request.raw_path,
        user=real,
        code=code,
        impersonated=request.user if request.user is not None and request.user is not real else None,
        source_ips=(request.client,) if request.client else (),
        user_agent=request.headers.get("user-agent"),
        api_group=info.group,
        api_version=info.version if info.is_resource else "",
        resource=info.resource,
        subresource=info.subresource,
        namespace=namespace,
        name=name,
        uid=uid,
        reason=reason,
        message=message,
        stage=stage,
        content_type=request.headers.get("content-type"),
        request_body=request.body,
        annotations=request.annotations,
    )

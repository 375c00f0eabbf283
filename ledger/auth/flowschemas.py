"""Which FlowSchema a request falls under, and so which priority level: clients are told by two headers.

Nothing is queued by it here; the FlowSchemas are objects as any other, and what they say about a request is said
truthfully. The objects are kept in memory and follow the log commit by commit. Follows
k8s.io/apiserver/pkg/util/flowcontrol/rule.go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson

from ledger.apimachinery.http import Request, RequestInfo, User
from ledger.apimachinery.resource import Key, Object
from ledger.log.api import Entry

GROUP = "flowcontrol.apiserver.k8s.io"
RESOURCES = ("flowschemas", "prioritylevelconfigurations")
_REMEMBERED_MAX = 4096


class Flow(NamedTuple):
    """Uids: their names are nobody's business but the administrators'."""

    schema: str
    level: str


class FlowSchemas:
    """`flow_of` is what the recorder asks. Fill it with `load`, keep it true with `follow`."""

    def __init__(self) -> None:
        self._schemas: dict[str, Object] = {}
        self._levels: dict[str, str] = {}  # uid by name
        self._ordered: list[tuple[Object, Flow]] | None = None
        self._remembered: OrderedDict[tuple[object, ...], Flow | None] = OrderedDict()

    def load(self, objects: Iterable[tuple[Key, Object]]) -> None:
        for key, found in objects:
            self.apply(key, found)

    def follow(self, entries: Sequence[Entry]) -> None:
        """A log listener: takes in what commits did to FlowSchemas and priority levels."""
        for entry in entries:
            for change in entry.changes:
                if change.key.group == GROUP:
                    self.apply(change.key, orjson.loads(change.body) if change.body is not None else None)

    def apply(self, key: Key, found: Object | None) -> None:
        """Takes in one object as it is now; None: it is gone."""
        if key.resource == "flowschemas":
            self._schemas.pop(key.name, None)
            if found is not None:
                self._schemas[key.name] = found
        elif key.resource == "prioritylevelconfigurations":
            self._levels.pop(key.name, None)
            if found is not None:
                self._levels[key.name] = found["metadata"].get("uid", "")
        self._ordered = None
        self._remembered.clear()

    def flow_of(self, request: Request) -> Flow | None:
        """The flow of a request whose user is known; None when no schema takes it."""
        assert request.user is not None and request.info is not None
        user, info = request.user, request.info
        asked = (info.group, info.resource, info.subresource, info.namespace) if info.is_resource else (info.path,)
        key = (user.name, user.groups, info.verb, asked)
        try:
            return self._remembered[key]
        except KeyError:
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.popitem(last=False)
            found = self._remembered[key] = self._find(user, info)
            return found

    def _find(self, user: User, info: RequestInfo) -> Flow | None:
        if self._ordered is None:
            self._ordered = self._order()
        return next((flow for schema, flow in self._ordered if _takes(schema, user, info)), None)

    def _order(self) -> list[tuple[Object, Flow]]:
        """By precedence, then name; a schema whose level does not exist takes nothing."""
        ordered = sorted(self._schemas.items(), key=lambda item: (_precedence(item[1]), item[0]))
        levels = ((found, self._levels.get(_level(found))) for _, found in ordered)
        return [(found, Flow(found["metadata"].get("uid", ""), level)) for found, level in levels if level is not None]


def _precedence(schema: Object) -> int:
    return int((schema.get("spec") or {}).get("matchingPrecedence") or 0)


def _level(schema: Object) -> str:
    return str(((schema.get("spec") or {}).get("priorityLevelConfiguration") or {}).get("name", ""))


def _takes(schema: Object, user: User, info: RequestInfo) -> bool:
    return any(
        any(_is_subject(subject, user) for subject in rule.get("subjects") or ()) and _matches(rule, info)
        for rule in (schema.get("spec") or {}).get("rules") or ()
    )


def _is_subject(subject: dict[str, Any], user: User) -> bool:
    match subject.get("kind"):
        case "User":
            return (subject.get("user") or {}).get("name") in ("*", user.name)
        case "Group":
            name = (subject.get("group") or {}).get("name")
            return name == "*" or name in user.groups
        case "ServiceAccount":
            account = subject.get("serviceAccount") or {}
            prefix = f"system:serviceaccount:{account.get('namespace', '')}:"
            if account.get("name") == "*":
                return user.name.startswith(prefix)
            return user.name == f"{prefix}{account.get('name', '')}"
    return False


def _matches(rule: dict[str, Any], info: RequestInfo) -> bool:
    if info.is_resource:
        return any(_matches_resource(one, info) for one in rule.get("resourceRules") or ())
    return any(
        _has(one.get("verbs"), info.verb) and any(_covers(url, info.path) for url in one.get("nonResourceURLs") or ())
        for one in rule.get("nonResourceRules") or ()
    )


def _matches_resource(rule: dict[str, Any], info: RequestInfo) -> bool:
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    if not (_has(rule.get("verbs"), info.verb) and _has(rule.get("resources"), resource)):
        return False
    if not _has(rule.get("apiGroups"), info.group):
        return False
    return _has(rule.get("namespaces"), info.namespace) if info.namespace else bool(rule.get("clusterScope"))


def _has(values: list[str] | None, wanted: str) -> bool:
    return values is not None and (values == ["*"] or wanted in values)


def _covers(url: str, path: str) -> bool:
    prefix = url.removesuffix("*")
    return url in ("*", path) or path.startswith(prefix if prefix.endswith("/") else f"{prefix}/")

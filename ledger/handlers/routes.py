"""Which resource, object and subresource a path names, and whether the method means anything there.

The rules are those of kube-apiserver's route table: a path that no route has is a 404, a path that exists for another
method is a 405.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger.apimachinery.resource import GVR
from ledger.apimachinery.status import StatusError, not_found
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.scheme import Scheme

ITEM_VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
COLLECTION_VERBS = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
SUBRESOURCE_VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "POST": "create", "DELETE": "delete"}


class Route(NamedTuple):
    """Where a request goes. `verb` is "watch" for the deprecated /watch/ paths."""

    definition: ResourceDefinition
    version: Version
    namespace: str
    name: str
    subresource: str
    rest: str  # what follows the subresource, for proxies
    verb: str


def unknown() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def not_allowed() -> StatusError:
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message, {})


def route(scheme: Scheme, method: str, path: str) -> Route | None:
    """The route of a resource path, None when its group and version are not served. Raises StatusError 404, 405."""
    segments = path.split("/")[1:]
    if segments[-1] == "":
        segments.pop()
    if segments[0] == "api":
        group, version, rest = "", segments[1], segments[2:]
    else:
        group, version, rest = segments[1], segments[2], segments[3:]
    if not scheme.serves(group, version):
        return None
    watching = bool(rest) and rest[0] == "watch"
    if watching:
        rest = rest[1:]
    if not rest:
        raise unknown()
    namespace, in_namespace = "", False
    if rest[0] == "namespaces" and len(rest) >= 3 and scheme.find(GVR(group, version, rest[2])) is not None:
        namespace, in_namespace, rest = rest[1], True, rest[2:]
    found = scheme.find(GVR(group, version, rest[0]))
    if found is None:
        return _unless_custom(scheme, group)
    definition, served = found
    name = rest[1] if len(rest) > 1 else ""
    if (definition.namespaced != in_namespace and (in_namespace or len(rest) > 1)) or (len(rest) > 1 and not name):
        return _unless_custom(scheme, group)
    subresource = rest[2] if len(rest) > 2 else ""
    if len(rest) > 2 and subresource not in served.subresources:
        raise not_found(definition.group_resource, name) if definition.custom else unknown()
    if len(rest) > 3 and "proxy" not in subresource:
        raise unknown()
    everywhere = definition.namespaced and not in_namespace
    verb = _verb(definition, served, method, name, subresource, everywhere, watching)
    return Route(definition, served, namespace, name, subresource, "/".join(rest[3:]), verb)


def _unless_custom(scheme: Scheme, group: str) -> Route | None:
    """No route: StatusError 404, or None (the router's plain text) in a group of custom resources."""
    if scheme.is_custom(group):
        return None
    raise unknown()


def _verb(
    definition: ResourceDefinition,
    version: Version,
    method: str,
    name: str,
    subresource: str,
    everywhere: bool,
    watching: bool,
) -> str:
    if subresource:
        verb, allowed = SUBRESOURCE_VERBS.get(method, ""), version.subresources[subresource].verbs
        if subresource == "proxy" and method in ("HEAD", "OPTIONS"):
            verb = "get"
    elif name:
        verb, allowed = ITEM_VERBS.get(method, ""), definition.verbs
    else:
        verb = COLLECTION_VERBS.get(method, "")
        allowed = ("list",) if everywhere and "list" in definition.verbs else definition.verbs
    if verb not in allowed:
        raise not_allowed()
    if watching:
        if verb not in ("list", "get") or "watch" not in definition.verbs:
            raise not_allowed()
        return "watch"
    return verb

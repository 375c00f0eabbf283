"""Requests to resources: finds the route, then the verb's handler. Paths under /at/MOMENT read the past."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from ledger.apimachinery.field import quoted
from ledger.apimachinery.http import Handler, Request, Response
from ledger.apimachinery.names import is_path_segment
from ledger.apimachinery.remember import CHARS_MAX
from ledger.apimachinery.status import StatusError, bad_request, gone
from ledger.handlers.api import Api, warn
from ledger.handlers.create import create
from ledger.handlers.delete import delete, delete_collection
from ledger.handlers.get import get
from ledger.handlers.list import list_objects
from ledger.handlers.moments import Moments
from ledger.handlers.patch import patch
from ledger.handlers.paths import page_not_found
from ledger.handlers.routes import Route, not_allowed, route
from ledger.handlers.untold import Untold
from ledger.handlers.update import update
from ledger.handlers.watch import watch
from ledger.log.api import Compacted
from ledger.registry.options import boolean, query_of
from ledger.registry.registry import Call
from ledger.scheme.scheme import Scheme

ROUTES_MAX = 2048  # remembered
Verb = Callable[[Api, Call], Awaitable[Response]]
WRITES: Mapping[str, Verb] = {
    "create": create,
    "update": update,
    "patch": patch,
    "delete": delete,
    "deletecollection": delete_collection,
}


class Resources:
    """The handler of /api/v1/... and /apis/GROUP/VERSION/....

    `special` holds the handlers of endpoints that are no plain objects (reviews, tokens, scale, eviction ...), by
    (group, resource, subresource); `documents` answers everything that is no resource; `untold` warns of what an imported
    ledger does not hold.
    """

    def __init__(
        self,
        api: Api,
        moments: Moments,
        documents: Handler,
        special: Mapping[tuple[str, str, str], Verb],
        read_only: bool = False,
        untold: Untold | None = None,
    ) -> None:
        self.api, self.moments, self.documents, self.special = api, moments, documents, special
        self.read_only, self.untold = read_only, untold
        self._routes: dict[tuple[str, str], Route] = {}  # of (method, path), by the kinds of `_routed_by`
        self._at_once: set[tuple[str, str]] = set()  # of these: one stored object of a built-in kind
        self._routed_by: Scheme | None = None

    async def __call__(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except Compacted as compacted:
            raise gone(f"too old resource version: {compacted}") from None

    async def _answer(self, request: Request) -> Response:
        info = request.info
        assert info is not None
        revision = self.moments.revision(request)
        if revision is not None:
            request.scratch["moment_us"] = self.moments.store.time_of(revision)
        scheme = self.moments.scheme(revision)
        found = self._route(scheme, request.method, info.path)
        if found is None and revision is None and _may_be_a_resource(info.path):
            # Whoever read of a new definition may ask for its kind before this server was told of the commit.
            scheme = self.moments.latest()
            found = self._route(scheme, request.method, info.path)
        if found is None:
            return await self._no_route(request, scheme, info.path)
        call = Call(request, found.definition, found.version, found.subresource, found.namespace, found.name)
        if found.version.deprecation_warning:
            warn(request, [found.version.deprecation_warning])
        if found.verb in ("get", "list", "watch"):
            return await self._read(call, found, revision)
        handler = self._special(found)
        if revision is not None and not _asks_only(found):
            raise past_is_read_only(info.moment)
        if self.read_only and not _asks_only(found):
            raise read_only_server()
        return await (handler or WRITES[found.verb])(self.api, call)

    def answers_at_once(self, request: Request) -> bool:
        """Whether the answer is made without waiting for anything: one stored object of a built-in kind, now or then.

        A custom one may have to be converted by a webhook.
        """
        info = request.info
        if info is None or info.verb != "get":
            return False
        if self._routed_by is not self.moments.scheme(None):
            return False
        return (request.method, info.path) in self._at_once

    def _route(self, scheme: Scheme, method: str, path: str) -> Route | None:
        """The route of a path, None for what is no resource: remembered, as clients ask for the same again and again."""
        if scheme is not self._routed_by:
            self._routed_by, self._routes, self._at_once = scheme, {}, set()
        found = self._routes.get((method, path))
        if found is None and _may_be_a_resource(path):
            found = route(scheme, method, path)
            if found is not None:
                if found.name and (wrong := is_path_segment(found.name)):
                    raise bad_request(f"Name parameter invalid: {quoted(found.name)}: {'; '.join(wrong)}")
                if len(self._routes) >= ROUTES_MAX:
                    self._routes.clear()
                    self._at_once.clear()
                if len(path) <= CHARS_MAX:
                    self._routes[method, path] = found
                    if found.name and found.verb == "get" and not found.definition.custom and not self._special(found):
                        self._at_once.add((method, path))
        return found

    async def _no_route(self, request: Request, scheme: Scheme, path: str) -> Response:
        leads_nowhere = _may_be_a_resource(path) and path.startswith("/apis/") and scheme.is_custom(path.split("/")[2])
        return page_not_found() if leads_nowhere else await self.documents(request)

    def _special(self, found: Route) -> Verb | None:
        """The handler of an endpoint that is no plain object; custom resources share one for each subresource."""
        if found.definition.custom:
            return self.special.get(("*", "*", found.subresource))
        return self.special.get((found.definition.group, found.definition.resource, found.subresource))

    async def _read(self, call: Call, found: Route, revision: int | None) -> Response:
        handler = self._special(found)
        if handler is not None:
            if revision is not None:
                call.request.scratch["revision"] = revision
            return await handler(self.api, call)
        if self.untold is not None:
            stored_as = found.definition.stored_as
            warn(call.request, self.untold.warnings(stored_as, found.namespace, found.name, revision))
        if found.verb == "watch" or (found.verb == "list" and boolean(query_of(call.request), "watch")):
            if "watch" not in found.definition.verbs:
                raise not_allowed()
            return await watch(self.api, call, revision)
        if found.name:
            return await get(self.api, call, revision)
        return await list_objects(self.api, call, revision)


def _may_be_a_resource(path: str) -> bool:
    """Whether a path goes beyond the documents about a group and version."""
    path = path.rstrip("/") if path.count("/") <= 4 else path
    return path.startswith(("/api/", "/apis/")) and path.count("/") >= (3 if path.startswith("/api/") else 4)


def _asks_only(found: Route) -> bool:
    """Whether a POST only asks (an access review): such kinds can be created but not read back."""
    return found.verb == "create" and "get" not in found.definition.verbs and not found.name


def past_is_read_only(moment: str) -> StatusError:
    message = f"the past cannot be changed: /at/{moment} serves reads only"
    return StatusError(405, "MethodNotAllowed", message, {})


def read_only_server() -> StatusError:
    message = "this server serves a ledger read-only: it was started with --read-only"
    return StatusError(405, "MethodNotAllowed", message, {})

"""RequestInfo: what a method and a path ask for, and as of which moment.

Follows RequestInfoFactory.NewRequestInfo in k8s.io/apiserver/pkg/endpoints/request. In front of that, `/at/MOMENT` is
taken off: the rest of the path then means the same as it always does, at that moment.

    GET    /api/v1/pods                                  list   pods
    GET    /api/v1/namespaces/ns/pods?watch=1            watch  pods ns/
    GET    /api/v1/watch/namespaces/ns/pods/a            watch  pods ns/a
    PUT    /apis/apps/v1/namespaces/ns/deployments/a/scale   update deployments/scale ns/a
    DELETE /api/v1/namespaces/ns/status                  delete namespaces/status ns (not a resource in ns)
    GET    /at/2026-11-22T14:03:00Z/api/v1/pods          list   pods, moment 2026-11-22T14:03:00Z
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote

from ledger.apimachinery.http import Handler, Request, RequestInfo, Response
from ledger.apimachinery.query import first_of
from ledger.apimachinery.remember import CHARS_MAX
from ledger.apimachinery.selectors import SelectorError, parse_field_selector
from ledger.pipeline.answers import internal_error

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_PATH_VERBS = frozenset({"proxy", "watch"})  # /api/v1/watch/..., from before ?watch=
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
_CACHE_ENTRIES = 2048


class UnknownRequest(Exception):
    """The path starts like an API path and then makes no sense; `info` is what is known of it."""

    def __init__(self, why: str, info: RequestInfo) -> None:
        super().__init__(why)
        self.info = info


def with_request_info(handler: Handler) -> Handler:
    """Sets `request.info`. The parse is remembered, as clients ask for the same paths again and again."""
    remembered = lru_cache(_CACHE_ENTRIES)(request_info)

    async def informed(request: Request) -> Response:
        try:
            query = _relevant(request)
            parse = remembered if len(request.raw_path) + len(query) <= CHARS_MAX else request_info
            request.info = parse(request.method, request.raw_path, query)
        except UnknownRequest as unknown:
            request.info = unknown.info
            url = f"{request.raw_path}?{request.query}" if request.query else request.raw_path
            return internal_error(request, f"failed to create RequestInfo: {unknown}, {url}")
        return await handler(request)

    return informed


def _relevant(request: Request) -> str:
    """The query where it can change the verb or the name; otherwise nothing, so that the cache is not spoilt by it."""
    if request.method in ("GET", "HEAD") and ("watch" in request.query or "fieldSelector" in request.query):
        return request.query
    return ""


def request_info(method: str, raw_path: str, query: str = "") -> RequestInfo:
    """The RequestInfo of a percent-encoded path. Raises UnknownRequest for /api/v1/watch and its like."""
    moment, raw_path = split_moment(raw_path)
    path = unquote(raw_path)
    plain = RequestInfo(is_resource=False, path=path, verb=method.lower(), moment=moment)
    parts = path.strip("/").split("/")
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return plain
    prefix, *parts = parts
    group = ""
    if prefix == "apis":
        if len(parts) < 3:
            return plain
        group, *parts = parts
    version, *parts = parts
    verb = _VERBS.get(method, "")
    if parts[0] in _PATH_VERBS:
        verb, *parts = parts
        if not parts:
            info = RequestInfo(True, path, verb, prefix, group, version, moment=moment)
            raise UnknownRequest("unable to determine kind and namespace from url", info)
    namespace, parts = _split_namespace(parts)
    name = parts[1] if len(parts) > 1 else ""
    subresource = parts[2] if len(parts) > 2 and verb != "proxy" else ""
    if not name and verb == "get":
        verb, name = _of_collection(query)
    if not name and verb == "delete":
        verb = "deletecollection"
    return RequestInfo(
        is_resource=True,
        path=path,
        verb=verb,
        api_prefix=prefix,
        group=group,
        version=version,
        namespace=namespace,
        resource=parts[0],
        subresource=subresource,
        name=name,
        parts=tuple(parts),
        moment=moment,
    )


def split_moment(raw_path: str) -> tuple[str, str]:
    """(moment, the path below it): ("890", "/api") for /at/890/api, ("", path) where no moment is named.

    The moment is decoded but not judged: whether it lies in the log is for the handler to say.
    """
    if not raw_path.startswith("/at/"):
        return "", raw_path
    moment, _, rest = raw_path.removeprefix("/at/").partition("/")
    return (unquote(moment), f"/{rest}") if moment else ("", raw_path)


def _split_namespace(parts: list[str]) -> tuple[str, list[str]]:
    """A namespace is both an object (.../namespaces/ns/status) and a place (.../namespaces/ns/pods)."""
    if parts[0] != "namespaces" or len(parts) < 2:
        return "", parts
    if len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
        return parts[1], parts[2:]
    return parts[1], parts


def _of_collection(query: str) -> tuple[str, str]:
    """(verb, name) of a GET without a name: a watch when asked for, and one object when a field selector names it.

    The name matters to RBAC: a role for one configmap allows `list --field-selector metadata.name=it`.
    """
    watch = first_of(query, "watch", "false")
    verb = "list" if watch == "0" or watch.lower() == "false" else "watch"
    return verb, _selected_name(first_of(query, "fieldSelector"))


def _selected_name(selector: str) -> str:
    """Nothing for a selector that cannot be parsed: the handler will say what is wrong with it."""
    try:
        name = parse_field_selector(selector).exact("metadata.name") if selector else None
    except SelectorError:
        return ""
    return name if name and name not in (".", "..") and "/" not in name and "%" not in name else ""

"""What a method and a path ask for."""

from __future__ import annotations

import pytest
import trio

from ledger.apimachinery.http import RequestInfo
from ledger.pipeline.longrunning import is_long_running
from ledger.pipeline.requestinfo import UnknownRequest, request_info
from tests.pipeline.requests import chain_around, ok, request_for


def describe(info: RequestInfo) -> str:
    if not info.is_resource:
        return f"{info.verb} {info.path}"
    resource = info.resource + (f"/{info.subresource}" if info.subresource else "")
    group = f"{info.group}/{info.version}" if info.group else info.version
    place = f"{info.namespace}/{info.name}" if info.namespace else info.name
    return f"{info.verb} {group} {resource} {place}".rstrip()


def info_of(line: str) -> RequestInfo:
    method, target = line.split()
    path, _, query = target.partition("?")
    return request_info(method, path, query)


@pytest.mark.parametrize("line, expected", [
    ("GET    /api/v1/pods",                                           "list v1 pods"),
    ("HEAD   /api/v1/pods",                                           "list v1 pods"),
    ("POST   /api/v1/namespaces/ns/pods",                             "create v1 pods ns/"),
    ("GET    /api/v1/namespaces/ns/pods/a",                           "get v1 pods ns/a"),
    ("GET    /api/v1/namespaces/ns/pods/a/",                          "get v1 pods ns/a"),
    ("PUT    /apis/apps/v1/namespaces/ns/deployments/a/scale",        "update apps/v1 deployments/scale ns/a"),
    ("PATCH  /api/v1/nodes/a/status",                                 "patch v1 nodes/status a"),
    ("DELETE /apis/apps/v1/namespaces/ns/deployments",                "deletecollection apps/v1 deployments ns/"),
    ("DELETE /api/v1/nodes/a",                                        "delete v1 nodes a"),
    ("FOO    /api/v1/nodes/a",                                        " v1 nodes a"),
    # a namespace is an object and a place
    ("GET    /api/v1/namespaces",                                     "list v1 namespaces"),
    ("GET    /api/v1/namespaces/ns",                                  "get v1 namespaces ns/ns"),
    ("PUT    /api/v1/namespaces/ns/status",                           "update v1 namespaces/status ns/ns"),
    ("PUT    /api/v1/namespaces/ns/finalize",                         "update v1 namespaces/finalize ns/ns"),
    ("GET    /api/v1/namespaces//configmaps",                         "list v1 configmaps"),
    ("GET    /apis/example.org/v1/namespaces/ns/scales",              "list example.org/v1 scales ns/"),
    # watches, old and new
    ("GET    /api/v1/pods?watch=true",                                "watch v1 pods"),
    ("GET    /api/v1/pods?watch",                                     "watch v1 pods"),
    ("GET    /api/v1/pods?watch=False",                               "list v1 pods"),
    ("GET    /api/v1/pods?watch=0",                                   "list v1 pods"),
    ("GET    /api/v1/namespaces/ns/pods/a?watch=true",                "get v1 pods ns/a"),
    ("GET    /api/v1/watch/namespaces/ns/pods/a",                     "watch v1 pods ns/a"),
    ("GET    /api/v1/watch/pods",                                     "watch v1 pods"),
    ("POST   /api/v1/proxy/namespaces/ns/pods/a/b/c",                 "proxy v1 pods ns/a"),
    ("GET    /api/v1/namespaces/ns/pods/a/proxy/b/c",                 "get v1 pods/proxy ns/a"),
    # a field selector that leaves one name
    ("GET    /api/v1/pods?fieldSelector=metadata.name%3Da",           "list v1 pods a"),
    ("GET    /api/v1/pods?watch=1&fieldSelector=metadata.name==a,x=y", "watch v1 pods a"),
    ("GET    /api/v1/pods?fieldSelector=metadata.name!=a",            "list v1 pods"),
    ("GET    /api/v1/pods?fieldSelector=metadata.name=..",            "list v1 pods"),
    ("GET    /api/v1/pods?fieldSelector=metadata.name",               "list v1 pods"),
    ("DELETE /api/v1/namespaces/ns/pods?fieldSelector=metadata.name=a", "deletecollection v1 pods ns/"),
    # percent encoding
    ("GET    /api/v1/namespaces/ns/configmaps/%61",                   "get v1 configmaps ns/a"),
    ("GET    /api/v1/namespaces/ns/configmaps/a%2Fb",                 "get v1 configmaps/b ns/a"),
    # not resources
    ("GET    /",                                                      "get /"),
    ("GET    /api",                                                   "get /api"),
    ("GET    /api/v1",                                                "get /api/v1"),
    ("GET    /apis/apps/v1",                                          "get /apis/apps/v1"),
    ("GET    /API/v1/pods",                                           "get /API/v1/pods"),
    ("POST   /healthz/log",                                           "post /healthz/log"),
])  # fmt: skip
def test_request_info(line: str, expected: str) -> None:
    assert describe(info_of(line)) == expected.rstrip()


@pytest.mark.parametrize("line, moment, expected", [
    ("GET /at/890/api/v1/pods",                              "890",                        "list v1 pods"),
    ("GET /at/2026-11-22T14:03:00+01:00/api/v1/pods",        "2026-11-22T14:03:00+01:00",  "list v1 pods"),
    ("GET /at/2026-11-22T14%3A03%3A00Z/apis",                "2026-11-22T14:03:00Z",       "get /apis"),
    ("GET /at/rv:7",                                         "rv:7",                       "get /"),
    ("GET /at/nonsense/api/v1/nodes/a",                      "nonsense",                   "get v1 nodes a"),
    ("GET /at//api/v1/nodes",                                "",                           "get /at//api/v1/nodes"),
    ("GET /at/1/at/2/api",                                   "1",                          "get /at/2/api"),
])  # fmt: skip
def test_a_moment_is_taken_off_the_path(line: str, moment: str, expected: str) -> None:
    info = info_of(line)
    assert (info.moment, describe(info)) == (moment, expected)


def test_a_path_verb_without_a_resource_is_no_request() -> None:
    with pytest.raises(UnknownRequest, match="unable to determine kind and namespace from url"):
        request_info("GET", "/api/v1/watch")
    response = trio.run(chain_around(ok, []), request_for("GET /api/v1/watch?a=<b>"))
    assert response.status == 500
    assert response.body.startswith(
        b'Internal Server Error: "/api/v1/watch?a=&lt;b&gt;": failed to create RequestInfo: '
    )


@pytest.mark.parametrize("line, expected", [
    ("GET  /api/v1/pods?watch=1",                       True),
    ("GET  /api/v1/namespaces/ns/pods/a/log",           True),
    ("POST /api/v1/namespaces/ns/pods/a/exec",          True),
    ("GET  /api/v1/nodes/a/proxy/metrics",              True),
    ("GET  /api/v1/proxy/nodes/a",                      True),
    ("GET  /api/v1/pods",                               False),
    ("GET  /debug/pprof/profile",                       True),
    ("GET  /metrics",                                   False),
])  # fmt: skip
def test_what_may_stay_open(line: str, expected: bool) -> None:
    assert is_long_running(info_of(line)) is expected

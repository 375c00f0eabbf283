"""How a refusal reads."""

# ruff: noqa: E501 (a row of a table is a line)

from __future__ import annotations

import orjson
import pytest

from tests.pipeline.requests import header, ok, play, refuse_all, request_for


@pytest.mark.parametrize(
    "line, message",
    [
        ("GET /api/v1/namespaces/x/configmaps/a", 'configmaps "a" is forbidden: User "admin" cannot get resource "configmaps" in API group "" in the namespace "x"'),
        ("GET /apis/apps/v1/namespaces/default/deployments/x/scale", 'deployments.apps "x" is forbidden: User "admin" cannot get resource "deployments/scale" in API group "apps" in the namespace "default"'),
        ("GET /api/v1/nodes", 'nodes is forbidden: User "admin" cannot list resource "nodes" in API group "" at the cluster scope'),
        ("GET /logs", 'forbidden: User "admin" cannot get path "/logs"'),
        ("OPTIONS /api/v1/nodes/a", 'nodes "a" is forbidden: User "admin" cannot  resource "nodes" in API group "" at the cluster scope'),
        ("GET /<b>", 'forbidden: User "admin" cannot get path "/&lt;b&gt;"'),
    ],
)  # fmt: skip
def test_a_refusal_reads_as_upstream_s(line: str, message: str) -> None:
    response, events = play(ok, request_for(line), authorize=refuse_all)
    assert orjson.loads(response.body)["message"] == f"{message}: rbac: RBAC: no luck"
    assert header(response, "x-content-type-options") == "nosniff"
    assert events[0].annotations["authorization.k8s.io/decision"] == "forbid"

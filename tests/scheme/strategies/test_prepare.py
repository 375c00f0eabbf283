"""What a write may not say: status, generation, what the server itself knows."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ledger.scheme.strategies import generation_changed, reset_fields
from ledger.scheme.strategies.paths import get
from tests.scheme.strategies.playing import DEFINITIONS, create, definition_of, update

_TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
_DEPLOYMENT = {
    "metadata": {"name": "d"},
    "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": _TEMPLATE},
    "status": {"replicas": 7},
}


def _stored(resource: str, body: Any) -> Any:
    obj = create(resource, body).obj
    obj["metadata"]["resourceVersion"] = "7"
    return obj


def test_status_is_the_servers() -> None:
    stored = _stored("apps/deployments", _DEPLOYMENT)
    assert stored["status"] == {}
    changed = deepcopy(stored) | {"status": {"replicas": 3}}
    assert update("apps/deployments", changed, stored).obj["status"] == {}
    changed["spec"] = changed["spec"] | {"replicas": 5}
    through_status = update("apps/deployments", changed, stored, "status").obj
    assert (through_status["status"], through_status["spec"]["replicas"]) == ({"replicas": 3}, 1)


@pytest.mark.parametrize(
    "resource, body, change, counts",
    [
        ("apps/deployments", _DEPLOYMENT, {"spec.replicas": 3}, True),
        ("apps/deployments", _DEPLOYMENT, {"metadata.labels": {"a": "b"}}, False),
    ],
)
def test_generation_counts_changes_of_what_is_wanted(resource: str, body: Any, change: Any, counts: bool) -> None:
    stored = _stored(resource, body)
    changed = deepcopy(stored)
    for path, value in change.items():
        parent, _, key = path.rpartition(".")
        get(changed, parent)[key] = value
    assert generation_changed(definition_of(resource), changed, stored) is counts


def test_secrets_take_strings() -> None:
    obj = create("secrets", {"metadata": {"name": "s"}, "data": {"a": "eA=="}, "stringData": {"a": "y", "b": "z"}}).obj
    assert obj["data"] == {"a": "eQ==", "b": "eg=="}
    assert "stringData" not in obj
    assert obj["type"] == "Opaque"


def test_namespaces_are_kept_until_they_are_empty() -> None:
    obj = create("namespaces", {"metadata": {"name": "n"}, "spec": {}}).obj
    assert obj["spec"]["finalizers"] == ["kubernetes"]
    assert obj["status"] == {"phase": "Active"}
    assert obj["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n"}


def test_a_signing_request_says_who_made_it() -> None:
    body = {"metadata": {"name": "c"}, "spec": {"username": "somebody else", "request": "", "signerName": "a.b/c"}}
    spec = create("certificates.k8s.io/certificatesigningrequests", body).obj["spec"]
    assert (spec["username"], spec["uid"]) == ("admin", "admin-uid")
    assert spec["groups"] == ["system:masters", "system:authenticated"]


def test_the_spec_of_a_signing_request_stays() -> None:
    stored: dict[str, Any] = {
        "metadata": {"name": "c", "resourceVersion": "1"},
        "spec": {"request": "eA==", "signerName": "a.b/c", "usages": ["any"], "username": "u"},
    }
    changed = deepcopy(stored)
    changed["spec"]["signerName"] = "x.y/z"
    outcome = update("certificates.k8s.io/certificatesigningrequests", changed, stored)
    assert outcome.obj["spec"]["signerName"] == "a.b/c"


def test_every_kind_says_which_fields_it_resets() -> None:
    deployments = definition_of("apps/deployments")
    assert reset_fields(deployments, "")
    assert reset_fields(deployments, "status")
    for definition in DEFINITIONS.values():
        reset_fields(definition, "")

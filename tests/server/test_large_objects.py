"""What is too large for etcd is refused as kube-apiserver refuses it; what is too large for a request as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.served import Served

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
TOO_LARGE = {
    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
    "message": "etcdserver: request is too large", "code": 500,
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("large") / "data"
    with Served(directory, "--durability", "relaxed", "--controllers", "none") as running:
        yield running


def deployment(name: str, size: int) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i", "command": ["x" * size]}]},
    }
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}


# The sizes around the limit were tried on kube-apiserver 1.37.2 with etcd 3.7.
@pytest.mark.parametrize("size, status", [(1_571_000, 201), (1_573_000, 500), (3_000_000, 500)])
def test_an_object_of_more_than_etcd_takes_is_refused_in_its_words(server: Served, size: int, status: int) -> None:
    answer = server.ask(f"POST {DEPLOYMENTS}", deployment(f"d{size}", size))
    assert answer[0] == status
    if status == 500:
        assert answer[1] == TOO_LARGE
        assert server.ask(f"GET {DEPLOYMENTS}/d{size}")[0] == 404


def test_a_patch_cannot_make_it_larger_either(server: Served) -> None:
    assert server.ask(f"POST {DEPLOYMENTS}", deployment("grows", 800_000))[0] == 201
    patch = [{"op": "add", "path": "/spec/template/spec/containers/0/args", "value": ["y" * 1_000_000]}]
    answer = server.ask(f"PATCH {DEPLOYMENTS}/grows", patch, Content_Type="application/json-patch+json")
    assert answer == (500, TOO_LARGE)


def test_a_dry_run_never_reaches_the_store(server: Served) -> None:
    assert server.ask(f"POST {DEPLOYMENTS}?dryRun=All", deployment("dry", 2_000_000))[0] == 201


def test_a_body_above_3_mib_is_413(server: Served) -> None:
    status, answer = server.ask(f"POST {DEPLOYMENTS}", deployment("huge", 3 * 1024 * 1024))
    assert status == 413
    assert (answer["reason"], answer["message"]) == (
        "RequestEntityTooLarge",
        "Request entity too large: limit is 3145728",
    )

"""/ledger/: a page and its JSON, for those whom RBAC lets ask for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.served import Served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("ledger"), "--controllers", "none") as served:
        yield served


def test_info_tells_where_the_log_is_and_what_happened_last(server: Served) -> None:
    configmap = {"metadata": {"name": "web"}}
    status, created = server.ask("POST /api/v1/namespaces/default/configmaps", configmap)
    assert status == 201
    status, info = server.ask("GET /ledger/info")
    assert status == 200
    assert info["kind"] == "LedgerInfo"
    assert info["revision"] == int(created["metadata"]["resourceVersion"])
    assert info["begins"] < info["ends"]
    assert info["readOnly"] is False
    (row,) = [one for one in info["last"] if one["revisions"] == [info["revision"]]]
    assert (row["user"], row["verb"], row["code"]) == ("kubernetes-admin", "create", 201)
    assert row["uri"].startswith("/api/v1/namespaces/default/configmaps")


def test_the_page_shows_what_clients_sent_and_runs_none_of_it(server: Served) -> None:
    server.ask("GET /api/v1/pods?labelSelector=<script>alert(1)</script>")
    # A read's event is on disk with the next commit at the latest.
    assert server.ask("POST /api/v1/namespaces/default/configmaps", {"metadata": {"name": "next"}})[0] == 201
    status, page = server.ask("GET /ledger/")
    assert status == 200
    assert page.startswith("<!doctype html>")
    assert "&lt;script&gt;alert" in page
    assert "<script>" not in page


@pytest.mark.parametrize(
    "line, admin, status",
    [
        ("GET /ledger/info",                     True,  200),
        ("GET /ledger",                          True,  308),
        ("GET /ledger/nothing",                  True,  404),
        ("POST /ledger/info",                    True,  405),
        ("GET /at/1/ledger/info",                True,  404),
        ("GET /ledger/info",                     False, 403),
        ("GET /ledger/",                         False, 403),
    ],
)  # fmt: skip
def test_who_gets_which_answer(server: Served, line: str, admin: bool, status: int) -> None:
    assert server.ask(line, admin=admin)[0] == status

"""`ledger compact`, and what every reader of the dropped past is told afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ledger.cli.main import main
from tests.served import Served

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
MAPS = "/api/v1/namespaces/default/configmaps"
SET = "application/merge-patch+json"


class Swept(NamedTuple):
    directory: Path
    revisions: list[int]  # of the lease, oldest first
    horizon: int
    told: str  # by `ledger compact`


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """A lease and a config map, each written six times, of which the lease's history is dropped."""
    directory = tmp_path_factory.mktemp("swept") / "data"
    revisions = []
    with Served(directory, "--controllers", "none") as server:
        for path in (LEASES, MAPS):
            assert server.ask(f"POST {path}", {"metadata": {"name": "one"}})[0] == 201
        for number in range(5):
            label = {"metadata": {"labels": {"n": str(number)}}}
            assert server.ask(f"PATCH {MAPS}/one", label, Content_Type=SET)[0] == 200
            status, lease = server.ask(f"PATCH {LEASES}/one", label, Content_Type=SET)
            assert status == 200 and server.ask(f"GET {LEASES}/one")[0] == 200
            revisions.append(int(lease["metadata"]["resourceVersion"]))
        server.stop()
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("sys.stdout.write", lines.append)
        flags = ["--retain-history", "leases.coordination.k8s.io=0s", "--retain-requests", "0s"]
        assert main(["compact", "--data-dir", str(directory), *flags]) == 0
    return Swept(directory, revisions, revisions[-1], "".join(lines))


@pytest.fixture(scope="module")
def server(swept: Swept) -> Any:
    with Served(swept.directory, "--controllers", "none") as running:
        yield running


def test_it_tells_what_it_dropped_and_how_the_file_shrank(swept: Swept) -> None:
    dropped, file = swept.told.splitlines()
    assert " 5 changes" in dropped and int(dropped.split()[1]) == 9  # and four reads, as the last event always stays
    before, _, after = file.split()[1:4]
    assert int(after.replace(",", "")) <= int(before.replace(",", ""))


def is_expired(answer: tuple[int, Any], horizon: int) -> bool:
    status, body = answer
    return (status, body["reason"]) == (
        410,
        "Expired",
    ) and f"the history of leases.coordination.k8s.io was dropped up to revision {horizon}" in body["message"]


def test_the_dropped_past_is_expired_and_the_rest_is_as_it_was(server: Served, swept: Swept) -> None:
    for place, revision in enumerate(swept.revisions[:-1]):
        for path in (f"{LEASES}/one", LEASES, f"{LEASES}?limit=1", "/apis/coordination.k8s.io/v1/leases"):
            assert is_expired(server.ask(f"GET /at/{revision}{path}"), swept.horizon)
        exact = server.ask(f"GET {LEASES}?resourceVersion={revision}&resourceVersionMatch=Exact")
        assert is_expired(exact, swept.horizon)
        status, one = server.ask(f"GET /at/{revision}{MAPS}/one")
        assert (status, one["metadata"]["labels"]) == (200, {"n": str(place)})
    assert server.ask(f"GET /at/{swept.horizon}{LEASES}/one")[1]["metadata"]["labels"] == {"n": "4"}
    assert server.ask(f"GET {LEASES}/one")[1]["metadata"]["resourceVersion"] == str(swept.horizon)


def test_a_watch_from_before_the_horizon_is_expired(server: Served, swept: Swept) -> None:
    query = f"watch=1&timeoutSeconds=1&resourceVersion={swept.revisions[0]}"
    (event,) = watched(server, f"{LEASES}?{query}")
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert len(watched(server, f"{MAPS}?{query}")) == 4


def watched(server: Served, path: str) -> list[Any]:
    connection = server.connect()
    connection.request("GET", path)
    lines = connection.getresponse().read().splitlines()
    connection.close()
    return [json.loads(line) for line in lines]


@pytest.fixture
def ask(swept: Swept, capsys: pytest.CaptureFixture[str]) -> Callable[[str], tuple[int, str, str]]:
    def asked(line: str) -> tuple[int, str, str]:
        code = main(["replay", *line.split(), "--data-dir", str(swept.directory)])
        return code, *capsys.readouterr()

    return asked


GONE = "the history of leases.coordination.k8s.io was dropped up to revision"


def test_replay_refuses_what_was_dropped_and_says_what_is_left_out(
    swept: Swept, ask: Callable[[str], tuple[int, str, str]]
) -> None:
    first, last = swept.revisions[0], swept.revisions[-1]
    for line in (f"get leases --at {first}", f"get lease/one -n default --at {first}", f"diff {first} {last} leases"):
        code, out, err = ask(line)
        assert (code, out) == (2, "") and f"{GONE} {swept.horizon}" in err, line
    code, out, err = ask(f"diff {first} {last}")
    assert code == 1 and "configmaps/one" in out and "leases/one" not in out
    assert f"not compared, as retention dropped it: leases.coordination.k8s.io before rv {swept.horizon}" in err
    code, out, err = ask("history lease/one -n default")
    assert (code, len(out.splitlines())) == (0, 2) and "created" not in out and "Earlier ones may be missing" in err
    code, out, err = ask("history cm/one -n default")
    assert (code, len(out.splitlines())) == (0, 7) and "missing" not in err
    code, out, err = ask("log leases --all")
    assert code == 0 and "created" not in out and "dropped by retention: leases.coordination.k8s.io before" in err
    assert "dropped   leases.coordination.k8s.io before rv" in ask("info")[1]


def test_what_is_left_verifies_and_says_what_is_not(swept: Swept, ask: Callable[[str], tuple[int, str, str]]) -> None:
    code, out, _ = ask("verify")
    assert code == 0 and "unbroken" in out and "projections identical" in out
    assert f"coordination.k8s.io/leases before rv {swept.horizon}" in out


def test_a_ledger_in_use_or_none_is_refused(
    server: Served, swept: Swept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compact", "--data-dir", str(swept.directory)]) == 1
    assert "in use by another process" in capsys.readouterr().err
    assert main(["compact", "--data-dir", str(tmp_path)]) == 1
    assert "there is no log here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "flags", [["--retain-history", "events"], ["--retain-requests", "7"], ["--retain-events-bytes", "much"]]
)
def test_a_wrong_flag_is_one_line(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["compact", *flags])
    assert left.value.code == 2 and flags[0] in capsys.readouterr().err

"""kubectl and an imported ledger, served read-only: a cluster that is gone, as it was at any moment.

A row is a moment, what is asked of it, and a regular expression for the answer (stdout and stderr together).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.cli.main import main
from tests.served import REPOSITORY, Served

pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl on PATH to test with"),
]
CRASHLOOP = REPOSITORY / "docs" / "examples" / "crashloop"
OPERATOR = REPOSITORY.parent / "shared" / "incidents" / "crd-operator"


def imported(folder: Path, data_dir: Path) -> Served:
    log, base = str(folder / "audit.jsonl.gz"), str(folder / "base.json.gz")
    assert main(["replay", "import", log, "--base", base, "--data-dir", str(data_dir)]) == 0
    return Served(data_dir, "--read-only")


@pytest.fixture(scope="module")
def crashloop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with imported(CRASHLOOP, tmp_path_factory.mktemp("crashloop")) as server:
        yield server


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if not OPERATOR.is_dir():
        pytest.skip("needs the recorded incident crd-operator beside the checkout")
    with imported(OPERATOR, tmp_path_factory.mktemp("operator")) as server:
        yield server


def kubectl(server: Served, moment: str, command: str, home: Path) -> str:
    """What kubectl prints when its server is a moment ("": the server as it is)."""
    url = f"{server.url}/at/{moment}" if moment else server.url
    done = subprocess.run(
        ["kubectl", "--kubeconfig", str(server.kubeconfig), "--server", url, *shlex.split(command)],
        env={**os.environ, "HOME": str(home)},
        text=True,
        capture_output=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "moment, command, answer",
    [
        ("",     "get pods -n shop -l app=orders",       r"orders-69b5694d56-\w+ +1/1 +Running +0 +\d+s"),
        ("890",  "get pods -n shop -l app=orders",       r"orders-57bc8b5bd7-jbfww +1/1 +Running +0 +22s"),
        ("1202", "get pods -n shop -l app=orders",       r"orders-5c7746f48f-g45sc +0/1 +CrashLoopBackOff +3"),
        ("1202", "get pods -n shop -o wide",             r"orders-5c7746f48f-g45sc .* 10\.244\.0\.6 +node-0"),
        ("890",  "get cm orders-config -n shop -o yaml", r'DATABASE_PORT: "5432"'),
        ("924",  "get cm orders-config -n shop -o yaml", r'DATABASE_PORT: "5433"'),
        ("1202", "describe pod -n shop -l app=orders",   r"Reason: +CrashLoopBackOff"),
        ("1202", "get events -n shop",                   r"BackOff +pod/orders-5c7746f48f-g45sc"),
        ("890",  "get all -n shop",                      r"deployment.apps/orders +3/3"),
        ("890",  "api-resources",                        r"deployments +deploy +apps/v1 +true +Deployment"),
        ("890",  "explain deployment.spec.replicas",     r"FIELD: replicas <integer>"),
        ("890",  "auth can-i delete pods",               r"yes"),
        ("890",  "delete deploy orders -n shop",         r"MethodNotAllowed.*: the past cannot be changed: /at/890"),
        ("",     "delete deploy orders -n shop",         r"MethodNotAllowed.*: this server serves a ledger read-only"),
        ("",     "get --raw /at/9999/api",               r"NotFound.*: revision 9999 is after the log's last one, 1727"),
        ("",     "get --raw /at/yesterday/api",          r'BadRequest.*: "yesterday" is not a moment'),
    ],
)  # fmt: skip
def test_the_past_of_a_cluster(crashloop: Served, moment: str, command: str, answer: str, tmp_path: Path) -> None:
    printed = kubectl(crashloop, moment, command, tmp_path)
    assert re.search(answer, printed), printed


@pytest.mark.shared
@pytest.mark.parametrize(
    "moment, command, answer",
    [
        ("796",  "api-resources",                  r"databases +acme.example.com/v1 +true +Database"),
        ("796",  "get databases -A",               r"shop +db-0 "),
        ("796",  "describe database db-0 -n shop", r"Phase: +Ready"),
        ("300",  "get databases -A",               r'have a resource type "databases"'),
        ("1042", "get databases -A",               r"shop +db-0 "),
    ],
)  # fmt: skip
def test_custom_resources_exist_while_their_definition_does(
    operator: Served, moment: str, command: str, answer: str, tmp_path: Path
) -> None:
    printed = kubectl(operator, moment, command, tmp_path)
    assert re.search(answer, printed), printed

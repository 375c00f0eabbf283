"""`ledger kubeconfig --at`: which moments it takes, and what server they become."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ledger.auth.certificates import ensure_credentials
from ledger.cli.examples import examples
from ledger.cli.main import main

URL = "https://127.0.0.1:6443"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An imported ledger that a server has run on."""
    made = tmp_path_factory.mktemp("ledger")
    audit_log = examples()["crashloop"] / "audit.jsonl.gz"
    assert main(["replay", "import", str(audit_log), "--data-dir", str(made)]) == 0
    ensure_credentials(made / "pki")
    assert main(["kubeconfig", "--data-dir", str(made), "--server", URL, "-o", str(made / "admin.kubeconfig")]) == 0
    return made


@pytest.mark.parametrize(
    "moment, path",
    [
        ("",                          ""),
        ("rv:924",                    "/at/rv:924"),
        ("924",                       "/at/924"),
        ("2026-11-22T21:17:13Z",      "/at/2026-11-22T21:17:13Z"),
        ("2026-11-22T22:17:13+01:00", "/at/2026-11-22T22:17:13+01:00"),
        ("748bd20d",                  "/at/rv:924"),
        ("before 748bd20d",           "/at/rv:923"),
        ("21:17:14",                  "/at/rv:925"),
        ("-1s",                       "/at/rv:1727"),
    ],
)  # fmt: skip
def test_a_moment_becomes_the_server_of_the_kubeconfig(
    directory: Path, moment: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kubeconfig", "--data-dir", str(directory), *(["--at", moment] if moment else [])]) == 0
    written = yaml.safe_load(capsys.readouterr().out)
    assert written["clusters"][0]["cluster"]["server"] == URL + path
    assert written["current-context"] == written["contexts"][0]["name"] == written["clusters"][0]["name"]


@pytest.mark.parametrize(
    "moment, error",
    [
        ("rv:99999",             "--at: revision 99999 is after the log's last one, 1727"),
        ("rv:0",                 "--at: rv:0 is before the log, whose first revision is 1"),
        ("2020-01-01T00:00:00Z", "--at: 2020-01-01T00:00:00Z is before the log, which starts at 2026-11-22T21:16:07Z"),
        ("yesterday",            '--at: "yesterday" is not a moment'),
    ],
)  # fmt: skip
def test_a_moment_outside_the_log_is_one_line(
    directory: Path, moment: str, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kubeconfig", "--data-dir", str(directory), "--at", moment]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {error}")
    assert printed.err.count("\n") == 1


def test_a_directory_without_a_server_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kubeconfig", "--data-dir", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "has a server run" in printed.err


def test_the_file_is_the_admins_alone(directory: Path) -> None:
    assert (directory / "admin.kubeconfig").stat().st_mode & 0o777 == 0o600

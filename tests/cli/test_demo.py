"""`ledger demo`: what it prints can be pasted, and finds the culprit."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ledger.cli.examples import examples
from ledger.cli.main import main
from tests.served import LEDGER, REPOSITORY, STOP_S


class Demo(NamedTuple):
    """A running demo and the lines on its screen."""

    process: subprocess.Popen[str]
    export: str
    commands: list[str]


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with subprocess.Popen([*LEDGER, "demo"], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.strip())
            if line.startswith("ledger replay show"):
                break
        yield Demo(process, lines[1], [line for line in lines[2:] if line and not line.startswith("#")])
        if process.poll() is None:
            process.kill()


FINDS = [
    # command of the screen            status  what it must show                            what it must not show
    ("/at/890 get pods",                    0, "Running",                                   "CrashLoopBackOff"),
    ("/at/2026-11-22T21:18:26Z get pods",   0, "CrashLoopBackOff",                          "No resources"),
    ("replay log",                          0, "DATABASE_PORT 5432 -> 5433",                "deployment-controller"),
    ("replay diff",                         1, 'data.DATABASE_PORT           "5432" -> "5433"', "error"),
    ("replay history",                      0, '924  21:17:13.596  "5433"  alice',          "error"),
    ("replay show",                         0, 'RoleBinding "devs-edit/shop"',              "error"),
]  # fmt: skip


@pytest.mark.kubectl
@pytest.mark.parametrize(("which", "status", "shown", "absent"), FINDS)
def test_every_command_on_the_screen_works_as_printed(
    demo: Demo, which: str, status: int, shown: str, absent: str
) -> None:
    (command,) = [one for one in demo.commands if which in one]
    if command.startswith("kubectl") and shutil.which("kubectl") is None:
        pytest.skip("needs kubectl on the PATH")
    done = subprocess.run(
        ["bash", "-c", f"{demo.export}\n{command}"], cwd="/", text=True, capture_output=True, check=False
    )
    assert (done.returncode, shown in done.stdout, absent in done.stdout) == (status, True, False), done


def test_the_table_above_names_every_command(demo: Demo) -> None:
    assert [command for command in demo.commands if not any(which in command for which, *_ in FINDS)] == []


def test_ctrl_c_ends_it_and_leaves_nothing_behind(demo: Demo) -> None:
    directory = Path(demo.export.rpartition("LEDGER_DATA_DIR=")[2])
    assert directory.is_dir()
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(STOP_S) == 0
    assert not directory.exists()


def test_an_incident_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "nothing"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: there is no incident 'nothing'. Incidents: crashloop\n"


def test_a_directory_that_holds_a_ledger_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = examples()["crashloop"]
    audit_log, base = str(folder / "audit.jsonl.gz"), str(folder / "base.json.gz")
    assert main(["replay", "import", audit_log, "--base", base, "--data-dir", str(tmp_path)]) == 0
    before = sorted(os.listdir(tmp_path))
    assert main(["demo", "--data-dir", str(tmp_path)]) == 1
    assert "already holds a ledger" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == before

"""The commands in the documentation, run as printed on the bundled incident: each prints what the page shows.

A block marked `console` holds lines that begin with "$ " and what each prints to stdout. "..." in a shown line stands for
any text, a line of nothing else for any lines. Commands run in a directory of their own, with docs/ beside them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ledger.cli.main import main
from tests.served import REPOSITORY, Served

DOCS = REPOSITORY / "docs"
PAGES = (REPOSITORY / "README.md", DOCS / "replay.md", DOCS / "time-travel.md")
SHOWN_URL = "https://127.0.0.1:7643"


class Example(NamedTuple):
    """One command of a page and the output shown below it."""

    command: str
    shown: str


def examples(page: Path) -> list[Example]:
    found = []
    for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            found.append(Example(command, shown))
    return found


def pattern(shown: str) -> re.Pattern[str]:
    """What output matches a shown one."""
    lines = ("(.*\n)*?" if line == "..." else f"{_line(line)}\n" for line in shown.splitlines())
    return re.compile("".join(lines))


def _line(shown: str) -> str:
    return ".*".join(re.escape(part) for part in shown.split("..."))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The incident of the pages, imported and served read-only."""
    data_dir = tmp_path_factory.mktemp("ledger")
    folder = DOCS / "examples" / "crashloop"
    imported = ["replay", "import", str(folder / "audit.jsonl.gz"), "--base", str(folder / "base.json.gz")]
    assert main([*imported, "--data-dir", str(data_dir)]) == 0
    with Served(data_dir, "--read-only") as server:
        yield server


@pytest.mark.kubectl
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_prints_what_the_page_shows(page: Path, served: Served, tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(DOCS)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(served.kubeconfig),
        "LEDGER_DATA_DIR": str(served.data_dir),
    }
    for example in examples(page):
        if "kubectl" in example.command and shutil.which("kubectl") is None:
            continue  # the commands of ledger itself are run all the same
        command = example.command.replace(SHOWN_URL, served.url)
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment, text=True, capture_output=True, check=False
        )
        printed = re.sub(r"[ \t]+$", "", done.stdout, flags=re.MULTILINE).replace(served.url, SHOWN_URL)
        assert pattern(example.shown).fullmatch(printed), f"$ {example.command}\n{printed}{done.stderr}"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")) + [REPOSITORY / "README.md"], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
    broken = [one for one in targets if "://" not in one and not (page.parent / one).exists()]
    assert broken == []


def test_the_index_of_decisions_names_each_of_them() -> None:
    index = (DOCS / "adr" / "README.md").read_text()
    assert [page.name for page in sorted((DOCS / "adr").glob("0*.md")) if page.name not in index] == []


def test_the_page_on_flags_names_each_flag_of_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    flags = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert {flag for flag in flags if f"`{flag}" not in (DOCS / "flags.md").read_text()} == set()

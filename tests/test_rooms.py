"""The rooms of docs/ARCHITECTURE.md: imports point down only, and every third-party package has its rooms.

One line a room, outermost first: the rooms it may import (each of them further down), and the packages. Whoever needs
one more adds it here, and thereby says so to the reader.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1] / "ledger"
FACTS = "log projections scheme apimachinery"  # what happened, what is, which kinds there are, and plain values

ROOMS = {
    # room:         (rooms below it,                                                     third-party packages)
    "cli":          (f"server replay {FACTS}",                                           "orjson"),
    "server":       (f"wire pipeline handlers auth admission registry controllers outbound {FACTS}",
                     "trio orjson quart quart_trio"),
    "wire":         ("apimachinery",                                "trio hypercorn h2 hpack hyperframe OpenSSL cryptography"),
    "replay":       (FACTS,                                                              "orjson cbor2 yaml"),
    "pipeline":     (f"auth {FACTS}",                                                    "trio orjson"),
    "handlers":     (f"auth registry outbound {FACTS}",                                  "trio orjson prometheus_client"),
    "controllers":  (f"auth admission registry outbound {FACTS}",                        "trio orjson"),
    "registry":     (f"admission outbound {FACTS}",                                      "trio orjson"),
    "admission":    (f"auth outbound {FACTS}",                                           "trio orjson"),
    "auth":         (f"outbound {FACTS}",                                                "trio orjson yaml cryptography"),
    "projections":  ("log apimachinery",                                                 "trio orjson"),
    "outbound":     ("apimachinery",                                                     "trio h11 cryptography orjson"),
    "log":          ("apimachinery",                                                     "trio lmdb cbor2 zstandard"),
    "scheme":       ("apimachinery",                                            "orjson yaml cryptography re2"),
    "apimachinery": ("",                                                                 "orjson yaml cbor2"),
}  # fmt: skip
PURE = ("apimachinery", "scheme")  # no clock, random number, socket, thread, process or output in here
IMPURE_MODULES = {
    "asyncio", "logging", "os", "random",
    "signal", "socket", "ssl", "subprocess", "sys", "threading", "time", "uuid",
}  # fmt: skip
IMPURE_CALLS = {"now", "utcnow", "today", "print", "input"}
PRINTS = {"print", "stdout", "stderr"}  # cli's alone

FILES = [pytest.param(path, id=str(path.relative_to(TOP))) for path in sorted(TOP.glob("*/**/*.py"))]


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name their room: from ledger.room.module import ..."
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def used_names(tree: ast.AST) -> Iterator[str]:
    """`print` of print(...), `stderr` of sys.stderr, `now` of datetime.now(...)."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in ("sys", "datetime")
        ):
            yield node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def test_the_table_points_down_only() -> None:
    order = list(ROOMS)
    for position, (room, (below, _)) in enumerate(ROOMS.items()):
        assert set(below.split()) <= set(order[position + 1 :]), room
    assert {path.parent.name for path in TOP.glob("*/__init__.py")} <= set(ROOMS)


@pytest.mark.parametrize("path", FILES)
def test_a_module_imports_what_its_room_may(path: Path) -> None:
    room = path.relative_to(TOP).parts[0]
    below, packages = ROOMS[room]
    tree = ast.parse(path.read_text())
    for name in imported(tree):
        package, _, rest = name.partition(".")
        if package == "ledger":
            assert rest.split(".")[0] in (room, *below.split()), f"{room} must not import {name}"
        elif package not in sys.stdlib_module_names:
            assert package in packages.split(), f"{room} must not import {package}"
        else:
            assert room not in PURE or package not in IMPURE_MODULES, f"{room} is pure; {package} is not"
    names = set(used_names(tree))
    assert room == "cli" or not names & PRINTS, "only cli prints"
    assert room not in PURE or not names & IMPURE_CALLS, f"{room} is pure"

"""docs/compatibility.md: every point has a state, every state a proof or a reason, and the proofs exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.served import REPOSITORY

PAGE = REPOSITORY / "docs" / "compatibility.md"
MAP = REPOSITORY / "../shared/reference/kube-apiserver.md"
ROW = re.compile(r"^\| ([A-R]\d+) \|(.*)\|$", re.MULTILINE)


class Point(NamedTuple):
    """One row."""

    number: str
    feature: str
    state: str
    tests: list[str]
    missing: str


def points() -> list[Point]:
    found = []
    for number, rest in ROW.findall(PAGE.read_text()):
        feature, state, shown, missing = (cell.strip() for cell in rest.split("|"))
        found.append(Point(number, feature, state, [one for one in shown.split(", ") if one], missing))
    return found


@cache
def functions(path: Path) -> set[str]:
    """The tests of a file."""
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_point_is_told_once_and_in_order() -> None:
    numbers = [point.number for point in points()]
    assert numbers == sorted(set(numbers), key=lambda number: (number[0], int(number[1:])))
    for letter in "ABCDEFGHIJKLMNOPQR":
        section = [int(number[1:]) for number in numbers if number[0] == letter]
        assert section == list(range(1, len(section) + 1)) != [], letter


@pytest.mark.shared
@pytest.mark.skipif(not MAP.is_file(), reason="the map of kube-apiserver's features is not beside the checkout")
def test_no_point_of_the_map_is_left_out() -> None:
    asked = re.findall(r"^\| ([A-R]\d+) \|", MAP.read_text(), re.MULTILINE)
    assert [point.number for point in points()] == asked


@pytest.mark.parametrize("point", points(), ids=lambda point: point.number)
def test_a_state_has_its_proof_or_its_reason(point: Point) -> None:
    assert point.state in ("done", "partly", "not")
    assert point.feature
    if point.state != "not":
        assert point.tests, "no test shows it"
    if point.state != "done":
        assert point.missing, "it does not say what is missing"
    for test in point.tests:
        file, _, function = test.partition("::")
        path = REPOSITORY / "tests" / file
        assert path.is_file(), test
        assert not function or function in functions(path), test

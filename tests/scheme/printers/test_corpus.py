"""Every Table recorded from a real kube-apiserver, against the cells made of the same object recorded nearby."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.apimachinery.resource import GVK
from ledger.apimachinery.times import parse_rfc3339
from ledger.scheme import printers
from ledger.scheme.custom import definition_of
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.runtime_config import RuntimeConfig
from ledger.scheme.scheme import Scheme, builtin

_SCENARIOS = (Path(__file__).resolve().parents[3] / "../shared/corpus/scenarios").resolve()

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not _SCENARIOS.exists(), reason="../shared/corpus is not beside this checkout"),
]

_TIME = "2026-11-22T21:17:13Z"
_NOW = parse_rfc3339(_TIME) + 5_000_000
# What stands in the recording for a value that differs from run to run, and what may stand in its place.
_PATTERNS = {"age": r"\d+[smhdy](\d+[smhdy])?", "time": re.escape(_TIME), "int": r"(\d+|<port:\d+>)", "any": ".*"}
_PLACEHOLDER = re.compile(r"<(age|time|int|any)(?::\w+)?>")
_FILLED = (
    (r"<time(:\w+)?>", _TIME),
    (r"<microtime(:\w+)?>", f"{_TIME[:-1]}.000001Z"),
    (r"<uid:(\d+)>", r"uid-\1"),  # so that a label may hold it
)
_URL = re.compile(r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>v[^/]+)(?:/namespaces/[^/]+(?=/))?/(?P<rest>[^?]+)")


class Recorded:
    """The objects of one scenario, by kind and name: every version that any answer showed."""

    def __init__(self) -> None:
        self.scheme: Scheme = builtin(RuntimeConfig.parse("api/all=true"))
        self.seen: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def keep(self, body: Any) -> None:
        if not isinstance(body, dict):
            return
        for item in body.get("items") or ():
            self.keep(item if "kind" in item else {**item, "apiVersion": body["apiVersion"], "kind": body["kind"][:-4]})
        metadata = body.get("metadata") or {}
        if body.get("kind") in ("Table", "PartialObjectMetadata", None) or "resourceVersion" not in metadata:
            return
        self.seen.setdefault((body["kind"], metadata.get("name", "")), []).append(body)

    def find(self, kind: str, name: str, row: dict[str, Any]) -> list[dict[str, Any]]:
        """The object a row shows: of its version where the row says which, else whatever was seen of the name."""
        shown = row.get("object") or {}
        if shown.get("kind") not in (None, "PartialObjectMetadata"):
            return [shown]
        revision = (shown.get("metadata") or {}).get("resourceVersion")
        found = self.seen.get((kind, name), [])
        return [one for one in found if one["metadata"]["resourceVersion"] == revision] or found


def tables() -> Iterator[tuple[str, Recorded, str, dict[str, Any]]]:
    """(where, what was seen before it, its URL, the Table) of each that was recorded."""
    for path in sorted(_SCENARIOS.glob("*/*.json")):
        scenario, recorded = json.loads(path.read_text()), Recorded()
        steps = scenario["steps"]
        for step in steps:
            recorded.keep(step["response"].get("body"))
        for step in steps:
            body = step["response"].get("body")
            if isinstance(body, dict) and body.get("kind") == "CustomResourceDefinition":
                defined = definition_of(body)
                recorded.scheme = recorded.scheme.with_custom([defined] if defined else [])
            if isinstance(body, dict) and body.get("kind") == "Table":
                yield f"{path.stem} {step['n']}", recorded, step["request"]["path"], body


def test_cells_are_those_of_a_real_server() -> None:
    compared, unpaired, wrong = 0, [], []
    for where, recorded, url, table in tables():
        for row in table["rows"]:
            name = _name(recorded, url, row)
            made = [_row(recorded, url, obj) for obj in _objects(recorded, url, name, row)]
            if not made:
                unpaired.append(f"{where}: {name}")
                continue
            compared += 1
            expected = (_filled(row["cells"]), row.get("conditions"))
            if not any(_same(expected[0], cells) and expected[1] == conditions for cells, conditions in made):
                wrong.append(f"{where} {url}\n  recorded {row['cells']}\n  made     {made[-1]}")
    assert not wrong, f"{len(wrong)} of {compared} rows differ:\n" + "\n".join(wrong)
    print(f"{compared} rows equal, {len(unpaired)} whose object no answer shows: {unpaired}")
    assert compared > 250


def test_columns_are_those_of_a_real_server() -> None:
    for where, recorded, url, table in tables():
        if not table.get("columnDefinitions"):
            continue
        _, version, subresource = _resource(recorded, url)
        columns = version.columns
        if subresource == "scale":
            columns, _ = printers.plain(GVK("autoscaling", "v1", "Scale"), {}, 0)
        made = [
            {"name": one.name, "type": one.type, "format": one.format, "description": one.description,
             "priority": one.priority}
            for one in columns
        ]  # fmt: skip
        assert made == table["columnDefinitions"], where


def _resource(recorded: Recorded, url: str) -> tuple[ResourceDefinition, Version, str]:
    found = _URL.match(url)
    assert found is not None, url
    resource, _, rest = found["rest"].partition("/")
    for definition in recorded.scheme.definitions.values():
        if (definition.group, definition.resource) == (found["group"] or "", resource):
            return definition, definition.versions[found["version"]], rest.partition("/")[2]
    raise AssertionError(url)


def _name(recorded: Recorded, url: str, row: dict[str, Any]) -> str:
    _, version, _ = _resource(recorded, url)
    return str(row["cells"][[one.name for one in version.columns].index("Name")])


def _objects(recorded: Recorded, url: str, name: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    definition, _, subresource = _resource(recorded, url)
    return recorded.find("Scale" if subresource == "scale" else definition.kind, name, row)


def _row(recorded: Recorded, url: str, obj: dict[str, Any]) -> tuple[list[Any], list[Any] | None]:
    """(cells, conditions)"""
    definition, version, subresource = _resource(recorded, url)
    filled = _filled(obj)
    if subresource == "scale":
        return printers.plain(GVK("autoscaling", "v1", "Scale"), filled, _NOW)[1], None
    cells = printers.cells(definition, version, filled, _NOW)
    return cells, printers.conditions(definition, filled) or None


def _filled(value: Any) -> Any:
    if isinstance(value, str):
        for placeholder, text in _FILLED:
            value = re.sub(placeholder, text, value)
        return value
    if isinstance(value, list):
        return [_filled(one) for one in value]
    return {key: _filled(one) for key, one in value.items()} if isinstance(value, dict) else value


def _same(recorded: Any, made: Any) -> bool:
    if isinstance(recorded, list):
        return len(recorded) == len(made) and all(map(_same, recorded, made))
    if isinstance(recorded, str) and _PLACEHOLDER.search(recorded):
        parts = _PLACEHOLDER.split(recorded)
        pattern = "".join(_PATTERNS[part] if place % 2 else re.escape(part) for place, part in enumerate(parts))
        return re.fullmatch(pattern, str(made)) is not None
    return type(recorded) is type(made) and bool(recorded == made)

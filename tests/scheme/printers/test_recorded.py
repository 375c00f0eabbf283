"""Cells that a real kube-apiserver made of objects with unusual shapes, one row an object, the age as of `now`.

Pods in every state containers can be in, every kind of metric, services of all types, columns of all types ...
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from ledger.apimachinery.resource import GVK, GroupResource
from ledger.scheme import printers
from ledger.scheme.custom import definition_of
from ledger.scheme.runtime_config import RuntimeConfig
from ledger.scheme.scheme import builtin

_RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())
_NAMES = {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"}
_GADGETS = definition_of({
    "metadata": {"name": "gadgets.tblcrd.example"},
    "spec": {
        "group": "tblcrd.example", "scope": "Namespaced", "names": _NAMES,
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}},
                      "additionalPrinterColumns": _RECORDED["gadgetColumns"]}],
    },
    "status": {"acceptedNames": _NAMES, "conditions": [{"type": "Established", "status": "True"}]},
})  # fmt: skip
assert _GADGETS is not None
_SCHEME = builtin(RuntimeConfig.parse("api/all=true")).with_custom([_GADGETS])
_LISTS = [
    ("/".join(resource), list(rows))
    for resource, rows in itertools.groupby(_RECORDED["rows"], key=lambda row: row["resource"])
]


@pytest.mark.parametrize(("resource", "rows"), _LISTS, ids=[name for name, _ in _LISTS])
def test_a_list_is_printed_as_by_a_real_server(resource: str, rows: list[dict[str, Any]]) -> None:
    group, version_name, plural = resource.split("/")
    definition = _SCHEME.definitions[GroupResource(group, plural)]
    version = definition.versions[version_name]
    objects = [row["object"] for row in rows]
    for place, row in enumerate(rows):
        obj, cells = printers.listed(definition, version, objects, row["now"] * 1_000_000)[place]
        assert obj["metadata"]["name"] == row["object"]["metadata"]["name"]
        assert [(type(cell), cell) for cell in cells] == [(type(cell), cell) for cell in row["cells"]]
        assert printers.conditions(definition, obj) == row.get("conditions", [])


def test_every_builtin_that_is_listed_has_a_cell_for_each_column() -> None:
    for definition in _SCHEME.definitions.values():
        for version in definition.versions.values():
            if "list" in definition.verbs and version.columns:
                obj = {"apiVersion": version.kind.api_version, "kind": version.kind.kind, "metadata": {"name": "bare"}}
                cells = printers.cells(definition, version, obj, 0)
                # Upstream sends one more for IP addresses.
                extra = definition.resource == "ipaddresses"
                assert len(cells) == len(version.columns) + extra, definition.resource


def test_the_default_class_is_the_youngest_marked_one_and_only_lists_tell() -> None:
    definition = _SCHEME.definitions[GroupResource("storage.k8s.io", "storageclasses")]
    version = definition.versions["v1"]

    def storage_class(name: str, day: int, marked: str = "true") -> dict[str, Any]:
        annotations = {"storageclass.kubernetes.io/is-default-class": marked}
        created = f"2026-01-{day:02}T00:00:00Z"
        return {"metadata": {"name": name, "creationTimestamp": created, "annotations": annotations}}

    classes = [storage_class("old", 1), storage_class("b", 3), storage_class("a", 3), storage_class("not", 4, "false")]
    names = [cells[0] for _, cells in printers.listed(definition, version, classes, 0)]
    assert names == ["old", "b", "a (default)", "not"]
    assert printers.cells(definition, version, classes[2], 0)[0] == "a"


def test_an_object_without_a_printer_gets_the_default_table() -> None:
    obj = {"metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}}
    columns, cells = printers.plain(GVK("policy", "v1", "Eviction"), obj, 0)
    assert [column.name for column in columns] == ["Name", "Created At"]
    assert cells == ["x", "2026-01-01T00:00:00Z"]

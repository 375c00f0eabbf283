"""One OpenAPI v2 document of several: ours, and what extension servers publish.

Follows MergeSpecsIgnorePathConflictRenamingDefinitionsAndParameters in k8s.io/kube-openapi/pkg/aggregator: a path that is
there already is left alone, a definition of a name that is taken by another gets a name of its own (NAME_v2).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ledger.apimachinery.resource import Object

KINDS = ("definitions", "parameters")


def merged(own: Object, others: Iterable[Object]) -> Object:
    """A document of its own; what it was made of is left alone. Of others only paths, definitions and parameters."""
    found = {**own, "paths": dict(own["paths"]), **{kind: dict(own.get(kind) or {}) for kind in KINDS}}
    for other in others:
        _add(found, other)
    found["paths"] = dict(sorted(found["paths"].items()))
    found["definitions"] = dict(sorted(found["definitions"].items()))
    return found


def below(document: Object, root: str) -> Object:
    """Only the paths below `root`, without what only the others used (FilterSpecByPaths)."""
    kept: Object = {}
    dropped: Object = {}
    for path, item in document["paths"].items():
        (kept if path.startswith(root) else dropped)[path] = item
    needless = _reachable(dropped, document) - _reachable(kept, document)
    found: Object = {"paths": kept}
    for kind in KINDS:
        given = document.get(kind) or {}
        found[kind] = {name: value for name, value in given.items() if f"#/{kind}/{name}" not in needless}
    return found


def _add(found: Object, other: Object) -> None:
    paths = {path: item for path, item in other.get("paths", {}).items() if path not in found["paths"]}
    used = {f"#/{kind}/{name}" for kind in KINDS for name in other.get(kind) or ()}
    renamed: dict[str, str] = {}
    for kind in KINDS:
        given = other.get(kind) or {}
        for name in sorted(used & {f"#/{kind}/{one}" for one in given}):
            plain = name.removeprefix(f"#/{kind}/")
            new = _free_name(found[kind], plain, given[plain])
            if new != plain:
                renamed[name] = f"#/{kind}/{new}"
    for kind in KINDS:
        for plain, value in (other.get(kind) or {}).items():
            reference = f"#/{kind}/{plain}"
            if reference in used:
                new = renamed.get(reference, reference).removeprefix(f"#/{kind}/")
                found[kind].setdefault(new, _renamed(value, renamed))
    found["paths"] |= {path: _renamed(item, renamed) for path, item in paths.items()}


def _free_name(taken: dict[str, Any], name: str, value: Any) -> str:
    """`name` where nothing else has it, else the first NAME_v2, NAME_v3 ... that is free or the same."""
    candidate, number = name, 1
    while candidate in taken and not _same(taken[candidate], value):
        number += 1
        candidate = f"{name}_v{number}"
    return candidate


def _same(one: Any, other: Any) -> bool:
    """Equal but for which kinds they are registered as: that differs from server to server."""
    return _without_kinds(one) == _without_kinds(other)


def _without_kinds(value: Any) -> str:
    kept = {key: one for key, one in value.items() if key != "x-kubernetes-group-version-kind"}
    return json.dumps(kept, sort_keys=True)


def _reachable(paths: Object, document: Object) -> set[str]:
    """The references that paths lead to, directly or by others."""
    used: set[str] = set()
    waiting: list[Any] = [paths]
    while waiting:
        for reference in _references(waiting.pop()):
            if reference not in used:
                used.add(reference)
                _, kind, name = reference.split("/", 2)
                waiting.append((document.get(kind) or {}).get(name))
    return used


def _references(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith(tuple(f"#/{kind}/" for kind in KINDS)):
            yield reference
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if not names:
        return value
    if isinstance(value, dict):
        return {
            key: names.get(one, one) if key == "$ref" and isinstance(one, str) else _renamed(one, names)
            for key, one in value.items()
        }
    return [_renamed(one, names) for one in value] if isinstance(value, list) else value

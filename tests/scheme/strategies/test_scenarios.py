"""The strategies against recorded lives of objects: every create and update a real kube-apiserver took or refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.scheme.strategies import playing

_LIFECYCLE = (Path(__file__).resolve().parents[3] / "../shared/corpus/scenarios/lifecycle").resolve()

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not _LIFECYCLE.exists(), reason="../shared/corpus is not beside this checkout"),
]

_PLACEHOLDER = re.compile(r"<([a-z]+)(?::\w+)?>")
_FILLED = {
    "uid": playing.UID,
    "time": playing.NOW,
    "microtime": "2024-01-01T00:00:00.000001Z",
    "rv": "7",
    "ip": "10.0.0.9",
}
_SERVER_SET = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "name", "selfLink")
_PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/(?P<version>[^/]+))/(?:namespaces/(?P<ns>[^/]+)/)?(?P<rest>.+)"
)
# What others than the strategies add to objects: admission, allocators. Paths, as `_differences` writes them.
_ADDED = {
    "core-nodes": (r"\.spec\.taints",),
    "core-persistentvolumeclaims": (r"\.metadata\.finalizers",),
    "core-pods": (
        r"\.spec\.(priority|preemptionPolicy|serviceAccount|serviceAccountName|tolerations|volumes)",
        r"\.spec\.(c|initC)ontainers\[\d+\]\.volumeMounts",
    ),
    "core-services": (r"\.spec\.(clusterIPs?|ipFamilies|ipFamilyPolicy|healthCheckNodePort)", r".*\.nodePort"),
}


def _parsed(path: str) -> tuple[str, str, str, list[str]] | None:
    found = _PATH.fullmatch(path.partition("?")[0])
    if found is None:
        return None
    group, version = found["group"] or "", found["version"] or found["core"]
    resource, *rest = found["rest"].split("/")
    return f"{group}/{resource}" if group else resource, version, found["ns"] or "", rest


def _filled(value: Any) -> Any:
    """Something of the right type for each placeholder."""
    text = re.sub(r'"<(?:port|int|number)(?::(\d+))?>"', lambda one: str(30000 + int(one[1] or 0)), json.dumps(value))
    return json.loads(_PLACEHOLDER.sub(lambda found: _FILLED.get(found[1], found[0]), text))


def _resolved(value: Any, bodies: dict[int, Any]) -> Any:
    """A body that is said by another step's answer: {"$base": "{{7.body}}", "$merge": {...}}."""
    if not isinstance(value, dict) or "$base" not in value:
        return value
    step = int(re.fullmatch(r"\{\{(\d+)\.body\}\}", value["$base"])[1])  # type: ignore[index]
    return _merged(deepcopy(bodies[step]), value.get("$merge", {}))


def _merged(into: Any, patch: Any) -> Any:
    if not isinstance(patch, dict) or not isinstance(into, dict):
        return patch
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        else:
            into[key] = _merged(into.get(key), value)
    return into


def _differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    if isinstance(theirs, str) and _PLACEHOLDER.search(theirs):
        return
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from _differences(ours.get(key), theirs.get(key), f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for at, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(mine, other, f"{path}[{at}]")
    elif ours != theirs:
        yield f"{path}: {json.dumps(ours)[:120]}, recorded {json.dumps(theirs)[:120]}"


def _without_server_set(obj: Any) -> Any:
    return {**obj, "metadata": {k: v for k, v in obj.get("metadata", {}).items() if k not in _SERVER_SET}}


def _texts(causes: list[Any]) -> list[str]:
    texts = [f"{one.get('field')}: {one.get('reason')}: {one.get('message')}" for one in causes]
    return [re.sub(rf"<uid(:\w+)?>|{playing.UID}", "<uid>", text) for text in texts]


def _compare(name: str, outcome: playing.Outcome, status: int, body: Any) -> list[str]:
    ours = [{"field": e.field, "reason": e.reason, "message": e.body()} for e in outcome.errors]
    if status == 422:
        wanted, found = _texts(body["details"].get("causes", [])), _texts(ours)
        return [] if found == wanted else [f"found {found}, recorded {wanted}"]
    if ours:
        return [f"refused: {_texts(ours)}"]
    added = _ADDED.get(name, ())
    different = _differences(_without_server_set(outcome.obj), _without_server_set(body))
    return [one for one in different if not any(re.match(pattern, one) for pattern in added)]


def _owner(at: tuple[str, str, str, list[str]] | None, name: str = "") -> tuple[str, str, str]:
    resource, _, namespace, rest = at or ("", "", "", [])
    return resource, namespace, rest[0] if rest else name


def _remember(live: dict[tuple[str, str, str], Any], at: Any, method: str, answer: Any) -> None:
    """The object each name stands for after a step, as its answer shows it."""
    body = answer.get("body")
    made = answer["status"] in (200, 201) and method in ("POST", "PUT", "PATCH", "GET")
    if at is not None and made and isinstance(body, dict) and "metadata" in body and "name" in body["metadata"]:
        live[_owner(at, body["metadata"]["name"])] = body


def _play(name: str, steps: list[Any]) -> tuple[int, list[str]]:
    """How many writes a scenario has, and those that came out otherwise."""
    bodies: dict[int, Any] = {}
    live: dict[tuple[str, str, str], Any] = {}
    count, wrong = 0, []
    for step in steps:
        request, answer = step.get("request") or {}, step["response"]
        bodies[step["n"]], status = answer.get("body"), answer["status"]
        at, method = _parsed(request.get("path", "")), request.get("method", "")
        known = live.get(_owner(at))
        _remember(live, at, method, answer)
        body = _resolved(request.get("body"), bodies)
        if at is None or method not in ("POST", "PUT") or not isinstance(body, dict):
            continue
        resource, version, namespace, rest = at
        if "failed to allocate" in json.dumps(answer["body"]) or body.get("kind") == "Scale":
            continue
        wanted = status == 422 or status == (201 if method == "POST" else 200)
        if wanted and method == "POST" and not rest:
            body, made = _filled(body), answer["body"]
            if body.get("metadata", {}).get("generateName"):
                body["metadata"].setdefault("name", made["metadata"].get("name") or "generated")
            outcome = playing.create(resource, body, version, namespace)
        elif wanted and method == "PUT" and known is not None:
            subresource = rest[1] if len(rest) > 1 else ""
            outcome = playing.update(resource, _filled(body), _filled(known), subresource, version, namespace)
        else:
            continue
        count += 1
        wrong += [f"step {step['n']}: {text}" for text in _compare(name, outcome, status, answer["body"])]
    return count, wrong


_FILES = sorted(path.stem for path in _LIFECYCLE.glob("*.json")) if _LIFECYCLE.exists() else []


@pytest.mark.parametrize("name", _FILES)
def test_every_recorded_write_comes_out_as_it_did(name: str) -> None:
    scenario = json.loads((_LIFECYCLE / f"{name}.json").read_text())
    count, wrong = _play(name, scenario["steps"])
    print(f"{name}: {count - len(wrong)} of {count}")
    assert count
    assert not wrong, "\n".join(wrong)

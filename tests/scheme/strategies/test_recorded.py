"""A rich object of each kind and changes to it, as a kube-apiserver 1.37.2 took or refused them: every cause, in order.

recorded.json: for each object the answer to its creation, causes of refused creations (`refused`: a change to the object
and what was found) and of refused updates of it as `stored`.
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.scheme.strategies import playing

_RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())
_IDS = [f"{one['resource']}-{one['object']['metadata']['name']}" for one in _RECORDED]
_UID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r'"2[0-9]{3}-[0-9]{2}-[0-9]{2}T[^"]*"')
# What admission, allocators and the writer of ownership add.
_ADDED = {
    "nodes": ("spec.taints",),
    "persistentvolumeclaims": ("metadata.finalizers",),
    "persistentvolumes": ("metadata.finalizers",),
    "services": ("spec.clusterIP", "spec.clusterIPs", "spec.ipFamilies", "spec.ipFamilyPolicy", "spec.ports"),
    "storage.k8s.io/volumeattributesclasses": ("metadata.finalizers",),
}


def _changed(obj: Any, change: list[Any]) -> Any:
    """`obj` with a value at a path set or deleted, the last of a list doubled, or a pair added to a map."""
    path, what, value = change
    obj = holder = deepcopy(obj)
    for step in path[:-1]:
        holder = holder[step]
    if what == "set":
        holder[path[-1]] = value
    elif what == "del":
        del holder[path[-1]]
    elif what == "dup":
        holder[path[-1]].append(deepcopy(holder[path[-1]][-1]))
    else:
        holder[path[-1]][value[0]] = value[1]
    return obj


def _causes(outcome: playing.Outcome) -> list[list[str]]:
    return [[one.reason, one.field, _UID.sub("<uid>", one.body())] for one in outcome.errors]


def _comparable(resource: str, obj: Any) -> Any:
    obj = json.loads(_TIME.sub('"<time>"', _UID.sub("<uid>", json.dumps(obj))))
    for key in ("uid", "creationTimestamp", "generation"):
        obj["metadata"].pop(key, None)
    for path in _ADDED.get(resource, ()):
        parent, _, key = path.partition(".")
        obj.get(parent, {}).pop(key, None)
    return obj


@pytest.mark.parametrize("recorded", _RECORDED, ids=_IDS)
def test_a_new_object_is_completed_and_warned_of_as_recorded(recorded: Any) -> None:
    outcome = playing.create(recorded["resource"], recorded["object"], recorded["version"], "here")
    if recorded["created"] is None:
        assert _causes(outcome) == recorded["causes"]
        return
    assert outcome.texts == []
    created = _comparable(recorded["resource"], recorded["created"])
    assert _comparable(recorded["resource"], outcome.obj) == created
    assert outcome.warnings == recorded.get("warnings", [])


@pytest.mark.parametrize("recorded", _RECORDED, ids=_IDS)
def test_what_is_wrong_with_a_new_object_is_said_as_recorded(recorded: Any) -> None:
    for case in recorded["refused"]:
        outcome = playing.create(
            recorded["resource"], _changed(recorded["object"], case["change"]), recorded["version"], "here"
        )
        assert _causes(outcome) == case["causes"], case["change"]


@pytest.mark.parametrize("recorded", [one for one in _RECORDED if "updates" in one], ids=lambda one: one["resource"])
def test_what_is_wrong_with_an_update_is_said_as_recorded(recorded: Any) -> None:
    stored = recorded["stored"]
    for case in recorded["updates"]:
        outcome = playing.update(
            recorded["resource"],
            _changed(stored, case["change"]),
            stored,
            version=recorded["version"],
            namespace="here",
        )
        assert _causes(outcome) == case["causes"], case["change"]

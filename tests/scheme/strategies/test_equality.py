"""What is the same for a strategy, and how paths are gone down."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.scheme.scheme import builtin
from ledger.scheme.strategies.disabled import _paths, drop_disabled_fields
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import every


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ({"a": None}, {}, True),
        ({}, {"a": []}, True),
        ({"a": {}}, {}, False),
        ({}, {"a": {}}, False),
        ({"a": ""}, {}, False),
        ({"a": "x", "b": "y"}, {"b": "y", "a": "x"}, True),
        ({"a": [{"b": None}]}, {"a": [{}]}, True),
        ([1], [1, 2], False),
        (1, True, False),
        (1, 1.0, False),
        (None, [], True),
    ],
)
def test_same(new: Any, old: Any, expected: bool) -> None:
    assert same(new, old) is same(old, new) is expected


values = st.recursive(
    st.sampled_from([None, True, 1, 1.0, "", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
)


@given(values, values)
def test_same_is_the_equality_of_values_without_null_and_empty_lists(new: Any, old: Any) -> None:
    assert same(new, old) == (_plain(new) == _plain(old))


def _plain(value: Any) -> Any:
    """The value with what counts as missing left out, and types told apart that Python takes for equal."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if one not in (None, [])}
    if isinstance(value, list):
        return [_plain(one) for one in value] or None
    return None if value is None else (type(value), value)


def test_every_value_at_a_path_in_order() -> None:
    pod = {"spec": {"containers": [{"name": "a"}, None, {"name": None}, {"name": "b"}], "volumes": None}}
    assert list(every(pod, "spec.containers[].name")) == ["a", "b"]
    assert list(every(pod, "spec.volumes[].name")) == list(every(pod, "spec.containers.name")) == []
    assert list(every(pod, "")) == [pod]


def test_fields_of_features_that_are_off_go_unless_they_were_there() -> None:
    """Of every built-in kind, each at its own path."""
    checked = 0
    for definition in builtin().definitions.values():
        for _, _, path in _paths(f"{definition.group}/{definition.resource}"):
            new, old = _with(path, "new"), _with(path, "old")
            drop_disabled_fields(definition, new, old)
            assert new == _with(path, "new"), f"{path} is in use"
            drop_disabled_fields(definition, new, None)
            assert next(every(new, path), None) is None and new != {}, path
            checked += 1
    assert checked > 50


def _with(path: str, value: Any) -> dict[str, Any]:
    """An object with a value at a path, whose lists have two elements: one that has it, and one without."""
    key, _, rest = path.partition(".")
    inner = _with(rest, value) if rest else value
    return {key.removesuffix("[]"): [{"name": "other"}, inner] if key.endswith("[]") else inner}

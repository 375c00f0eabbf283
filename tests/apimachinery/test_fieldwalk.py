"""What is gained where nothing was is what a comparison with an empty value finds."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.apimachinery.fieldtypes import compiled
from ledger.apimachinery.fieldwalk import compare, field_set

SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "map": {"type": "object", "additionalProperties": {"type": "string"}},
                "whole": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "x-kubernetes-map-type": "atomic",
                },
                "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                "list": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}, "n": {"type": "integer"}},
                    },
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                },
                "plain": {"type": "array", "items": {"type": "string"}},
            },
        }
    },
}
few = st.sampled_from(["a", "b", "c"])
maps = st.none() | st.dictionaries(few, few, max_size=3)
elements = st.fixed_dictionaries({"name": few}, optional={"n": st.integers(0, 3)})
specs = st.fixed_dictionaries(
    {},
    optional={
        "map": maps,
        "whole": maps,
        "set": st.none() | st.lists(few, max_size=3),
        "list": st.none() | st.lists(elements, max_size=3),
        "plain": st.none() | st.lists(few, max_size=2),
        "unknown": maps,
    },
)


@given(specs)
def test_a_new_branch_gains_itself_and_all_below_it(spec: dict[str, Any]) -> None:
    """Compared with a branch that is there but empty, where every member is compared on its own."""
    made = compiled(SCHEMA)
    grown = compare({"spec": {}}, {"spec": spec}, made)
    new = compare({}, {"spec": spec}, made)
    assert (new.removed, new.modified, grown.removed, grown.modified) == ({}, {}, {}, {})
    below = grown.added.get("f:spec", {})
    assert new.added == {"f:spec": {".": {}, **below} if below else {}}


@given(specs)
def test_what_is_gained_is_lost_again_the_other_way(spec: dict[str, Any]) -> None:
    made = compiled(SCHEMA)
    assert compare({}, {"spec": spec}, made).added == compare({"spec": spec}, {}, made).removed


def test_every_element_of_a_new_list_is_gained_by_its_name() -> None:
    spec = {"list": [{"name": "a", "n": 1}, {"name": "b"}], "set": ["x"]}
    made = compiled(SCHEMA)
    gained = compare({"spec": {"plain": []}}, {"spec": {"plain": [], **spec}}, made).added
    assert gained["f:spec"]["f:list"]['k:{"name":"a"}'] == {".": {}, "f:name": {}, "f:n": {}}
    assert gained["f:spec"]["f:set"] == {".": {}, 'v:"x"': {}}
    assert field_set({"spec": spec}, made)["f:spec"]["f:list"].keys() < gained["f:spec"]["f:list"].keys()

"""Whether a body says something twice: the quick looks must never be wrong where the slow one is right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.scheme.body import has_duplicates

# Pieces that could fool a count of quotes, or a comparison of texts.
_TEXTS = st.sampled_from(["a", "b", "a b", '"', '":', "\\u0022", "\\", "é", "\u2028", ", ", ""])
_ESCAPED = st.sampled_from(["\\u0022", "\\u0022:\\u0022", "\\u0061", '\\"', "\\\\"])  # inside quotes, as JSON has them


def _quoted(text: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return text.flatmap(lambda one: st.sampled_from([json.dumps(one), json.dumps(one, ensure_ascii=False)]))


_STRINGS = st.one_of(_quoted(_TEXTS), _ESCAPED.map(lambda one: f'"{one}"'))
_SPACE = st.sampled_from(["", " ", "\n\t"])


def _containers(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.tuples(_STRINGS, _SPACE, _SPACE, values), max_size=4)
    maps = members.map(
        lambda found: "{" + ",".join(f"{key}{before}:{after}{one}" for key, before, after, one in found) + "}"
    )
    return st.one_of(maps, st.lists(values, max_size=3).map(lambda found: f"[{', '.join(found)}]"))


_DOCUMENTS = st.recursive(
    st.one_of(_STRINGS, st.sampled_from(["1", "1.50", "true", "null"])), _containers, max_leaves=12
)


def _says_twice(document: str) -> bool:
    twice = []

    def seen(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            twice.append(pairs)
        return dict(pairs)

    json.loads(document, object_pairs_hook=seen)
    return bool(twice)


@given(_DOCUMENTS)
def test_a_field_that_is_there_twice_is_found_however_it_is_written(document: str) -> None:
    assert has_duplicates(document.encode(), json.loads(document)) == _says_twice(document)


@pytest.mark.parametrize(
    "document, doubled",
    [
        ('{"a": 1, "b": {"a": "x"}}', False),
        ('{"a": 1, "a": 2}', True),
        ('{"a" : 1,\n"a" : 2}', True),
        ('{"a": 1, "a": 2, "b": "\\u0022\\u0022"}', True),  # as many quotes again when it is printed
        ('{"a": 1, "\\u0061": 2}', True),
    ],
)
def test_examples(document: str, doubled: bool) -> None:
    assert has_duplicates(document.encode(), json.loads(document)) == doubled

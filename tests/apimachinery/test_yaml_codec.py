"""YAML 1.1 as sigs.k8s.io/yaml reads and prints it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.apimachinery import yaml_codec, yaml_text
from ledger.apimachinery.yaml_codec import _Decoder, _loads_plain_json
from ledger.apimachinery.yaml_nodes import first_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("y", True),
        ("on", True),
        ("No", False),
        ("~", None),
        ("", None),
        ("010", 8),
        ("0o10", 8),
        ("0b11", 3),
        ("0x1F", 31),
        ("1_000", 1000),
        ("1e3", 1000),
        ("1.0", 1),
        (".5", 0.5),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("18446744073709551615", 18446744073709551615),
        ("{1: a, 1.5: b, true: c, x: d}", {"1": "a", "1.5": "b", "true": "c", "x": "d"}),
        ("{a: &x {b: 1}, c: {<<: *x, d: 2}}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("a: 1\n---\n]] broken", {"a": 1}),
    ],
)
def test_reading(text: str, value: Any) -> None:
    assert yaml_codec.loads(text.encode()) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "yaml: line 1: did not find expected node content"),
        ("a: b\n c: d\n", "yaml: line 2: mapping values are not allowed in this context"),
        ("a: *b", "yaml: unknown anchor 'b' referenced"),
        ("a: &a [*a]", "yaml: anchor 'a' value contains itself"),
        ("? [a]\n: b", 'yaml: invalid map key: []interface {}{"a"}'),
        ("~: x", 'unsupported map key of type: %!s(<nil>), key: <nil>, value: "x"'),
        ("a: .nan", "json: unsupported value: NaN"),
        ("a: !!int x", "yaml: cannot decode !!str `x` as a !!int"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(yaml_codec.YamlError) as refused:
        yaml_codec.loads(text.encode())
    assert str(refused.value) == why


def test_keys_that_occur_twice_are_named_with_their_line() -> None:
    text = b"a: 1\nb: {y: ml, y: twice}\na: 2\n'true': 3\non: 4\n"
    assert yaml_codec.duplicate_keys(text) == [
        "line 2: key true already set in map",
        'line 3: key "a" already set in map',
    ]
    assert yaml_codec.loads(text)["a"] == 2


@pytest.mark.parametrize("bomb", [b"[" * 500_000, b"- " * 100_000, b'{"a":' * 100_000])
def test_deep_documents_are_an_error_and_no_crash(bomb: bytes) -> None:
    with pytest.raises(yaml_codec.YamlError, match="exceeded max depth"):
        yaml_codec.loads(bomb)


def test_exploding_aliases_are_refused() -> None:
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"b{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 9)]
    with pytest.raises(yaml_codec.YamlError, match="excessive aliasing"):
        yaml_codec.loads("\n".join(lines).encode())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [1, {"c": None}, [True]]}, "a:\n- 1\n- c: null\n- - true\nb: 1\n"),
        ({"x10": 1, "x9": 2, "X": {}, "y": []}, 'X: {}\nx9: 2\nx10: 1\n"y": []\n'),
        ({"a": "yes", "b": "1", "c": "", "d": "2024-01-01"}, 'a: "yes"\nb: "1"\nc: ""\nd: "2024-01-01"\n'),
        ({"a": "1:30", "b": "<<", "c": "0o7", "d": "1_0"}, 'a: "1:30"\nb: <<\nc: "0o7"\nd: "1_0"\n'),
        ({"a": "- x", "b": "x: y", "c": " x", "d": "it's", "e": "#"}, "a: '- x'\nb: 'x: y'\nc: ' x'\nd: it's\ne: '#'\n"),
        ({"a": "x\ny\n", "b": "x", "c": "x\n\n", "d": " x\ny"}, "a: |\n  x\n  y\nb: x\nc: |+\n  x\n\nd: |2-\n   x\n  y\n"),
        ({"a": "x \ny", "b": "t\tt", "c": "\U0001f600"}, 'a: "x \\ny"\nb: "t\\tt"\nc: "\\U0001F600"\n'),
        ({"a": 1.5, "b": 1e22, "c": 1234567.5}, "a: 1.5\nb: 1e+22\nc: 1.2345675e+06\n"),
        ({"k" * 129: {"a": 1}}, f"? {'k' * 129}\n: a: 1\n"),
        ({"a": "word " * 20 + "end"}, "a: " + "word " * 15 + "word\n  word word word word end\n"),
    ],
)  # fmt: skip
def test_printing(value: Any, text: str) -> None:
    assert yaml_text.dumps(value).decode() == text


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2028\u2029"), max_size=99)
_KEYS = _TEXT.filter(lambda key: key != "<<")  # printed bare, as upstream does, and then a merge
_SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _TEXT
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4))


@given(st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_what_is_printed_is_read_back(value: dict[str, Any]) -> None:
    assert yaml_codec.loads(yaml_text.dumps(value)) == value


def test_long_words_and_quotes_survive_folding() -> None:
    for text in ("a  b " * 40, "it's " * 40 + ": x", "tab\t" + "word " * 40, "\\" * 90 + " x" * 50):
        assert yaml_codec.loads(yaml_text.dumps([text])) == [text]


texts = st.text(alphabet=st.sampled_from('aé~<"\\/\n\t\x7f\x00\u2028😀: {}[],#&*!|%@`yesno0.1e+-'), max_size=6)
scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | texts
json_objects = st.dictionaries(
    texts | st.sampled_from(["<<", "a", "k" * 1000]),
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)),
    max_size=4,
)


@given(json_objects, st.sampled_from([(",", ":"), (", ", ": "), (" ,  ", ":  ")]), st.booleans())
def test_what_is_read_as_JSON_is_what_YAML_says(
    value: dict[str, Any], separators: tuple[str, str], ascii_only: bool
) -> None:
    data = json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode()
    quick = _loads_plain_json(data)
    if quick is not None:
        decoder = _Decoder()
        slow = decoder.document(first_document(data))
        assert json.dumps(quick) == json.dumps(slow), "the order of the keys included"
        assert decoder.duplicates == []


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a":1.50}',
        '{"a":1e3}',
        '{"a":12345678901234567890}',
        '{"<<":{"a":1}}',
        '{"a": 1, "a": 2}',
        '{"a" : 1}',
        '{"a":\n1}',
        '{"a":"\\/"}',
        "[1]",
        "a: 1",
    ],
)
def test_what_JSON_and_YAML_may_read_differently_is_left_to_YAML(text: str) -> None:
    assert _loads_plain_json(text.encode()) is None


def test_an_object_as_clients_send_it_is_read_as_JSON() -> None:
    body = b'{"kind":"Pod","spec":{"containers":[{"image":"nginx:1.27","args":["a\\nb"]}]},"apiVersion":"v1"}\n'
    assert json.dumps(_loads_plain_json(body)) == (
        '{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"args": ["a\\nb"], "image": "nginx:1.27"}]}}'
    )
    assert _loads_plain_json(b'{"b": [1, 2], "a": "x: y"}') == {"a": "x: y", "b": [1, 2]}, "with the spaces of Python"
    assert _loads_plain_json(b'{"a":' * 300 + b"1" + b"}" * 300) is None, "as deep as YAML may go"

"""Kubernetes' JSONPath: what each form finds, and what is an error."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.scheme.printers.jsonpath import find, parse
from ledger.scheme.printers.jsonpath_steps import JSONPathError

_OBJECT: dict[str, Any] = {
    "a": {"b": 1, "c.d": 2, "n": None},
    "l": ["x", "y", "z"],
    "e": [],
    "s": "hi",
    "conditions": [
        {"type": "Ready", "status": "True", "n": 1},
        {"type": "Synced", "status": "False", "n": 2, "ok": True},
        {"type": "A)b"},
    ],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".a.b",                                      [1]),
        ("a",                                         "error"),
        ("$.a.b",                                     [1]),
        ("@.a.b",                                     [1]),
        (".a.n",                                      [None]),
        (".a.missing.deeper",                         []),
        (".s.below",                                  []),
        (".a.c\\.d",                                  [2]),
        (".a['c\\.d']",                               [2]),
        ("['a']['b']",                                [1]),
        (".l",                                        [["x", "y", "z"]]),
        (".l[0]",                                     ["x"]),
        (".l[]",                                      ["x"]),
        (".l[-1]",                                    ["z"]),
        (".l[3]",                                     "error"),
        (".l[*]",                                     ["x", "y", "z"]),
        (".l[1:]",                                    ["y", "z"]),
        (".l[:-1]",                                   ["x", "y"]),
        (".l[-2:]",                                   ["y", "z"]),
        (".l[::2]",                                   ["x", "z"]),
        (".l[2:1]",                                   "error"),
        (".l[::0]",                                   "error"),
        (".l[2,0]",                                   ["z", "x"]),
        (".e[*]",                                     []),
        (".e[0]",                                     "error"),
        (".s[0]",                                     "error"),
        (".a.*",                                      [1, 2, None]),
        ("..b",                                       [1]),
        ("..status",                                  ["True", "False"]),
        ('.conditions[?(@.type=="Ready")].status',    ["True"]),
        (".conditions[?(@.type=='Ready')].status",    ["True"]),
        ('.conditions[?(@.type!="Ready")].type',      ["Synced", "A)b"]),
        ('.conditions[?(@.type=="A)b")].type',        ["A)b"]),
        (".conditions[?(@.n)].type",                  ["Ready", "Synced"]),
        (".conditions[?(@.n>1)].type",                ["Synced"]),
        (".conditions[?(@.n<=1)].type",               ["Ready"]),
        (".conditions[?(@.ok==true)].type",           ["Synced"]),
        ('.conditions[?(@.n=="1")].type',             "error"),
        (".conditions[?(@.n=~1)].type",               "error"),
        (".conditions[?(@.ok<true)].type",            "error"),
        (".s[?(@.x)]",                                "error"),
        ("'text'",                                    ["text"]),
        ("7",                                         [7]),
        ("-1.5",                                      [-1.5]),
        ("true",                                      [True]),
    ],
)  # fmt: skip
def test_a_path_finds(path: str, found: Any) -> None:
    if found == "error":
        with pytest.raises(JSONPathError):
            find(path, _OBJECT)
    else:
        assert find(path, _OBJECT) == found


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (".a[",                "unterminated array"),
        (".a[x]",              "invalid array index x"),
        (".a[-]",              "array index - is not a number"),
        (".a[?(@.b",           "unterminated filter"),
        (".a[?(@.b)",          "unclosed array expect ]"),
        (".a\n",               "unclosed action"),
        ("....a",              "invalid multiple recursive descent"),
        ("#",                  "unrecognized character in action: U+0023 '#'"),
        ("'a",                 "unterminated quoted string"),
        ("1.2.3",              "cannot parse number 1.2.3"),
    ],
)  # fmt: skip
def test_a_path_that_cannot_be_parsed_says_why(path: str, why: str) -> None:
    with pytest.raises(JSONPathError) as error:
        parse(path)
    assert str(error.value) == why

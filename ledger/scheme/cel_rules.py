"""x-kubernetes-validations: rules in CEL that custom resources are held to, after their schema.

A rule sees the value of its node as `self` and, on updates, what it was as `oldSelf`. The language itself is only loaded
for schemas that have rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ledger.apimachinery.field import FieldError
from ledger.apimachinery.resource import Schema
from ledger.scheme.schema_validation import UNKNOWN

RULES = "x-kubernetes-validations"


def has_rules(schema: Schema) -> bool:
    """Whether there is a rule anywhere in a schema."""
    return bool(schema.get(RULES)) or any(has_rules(one) for one in _below(schema))


def _below(schema: Schema) -> Iterator[Schema]:
    yield from (schema.get("properties") or {}).values()
    yield from schema.get("allOf") or ()
    yield from (one for one in (schema.get("items"), schema.get("additionalProperties")) if isinstance(one, dict))


def rule_errors(schema: Schema, value: Any, old: Any = UNKNOWN, path: str = "", root: bool = True) -> list[FieldError]:
    """The rules that a value breaks, outermost first. `old` is UNKNOWN on creation and where nothing corresponds."""
    if not has_rules(schema):
        return []
    from ledger.scheme.cel.rules import evaluate

    return evaluate(schema, value, None if old is UNKNOWN else old, path, root)


def definition_errors(
    schema: Schema,
    path: str,
    shown: Callable[[dict[str, Any]], Any] = lambda rule: rule,
    skip: Callable[[str], bool] = lambda path: False,
    any_cost: bool = False,
) -> list[FieldError]:
    """What is wrong with the rules of a structural schema: they do not compile, or do not say what they must, or cost too much.

    `shown`: a rule as errors show it. `skip`: whether something else is wrong with the schema at or below a path.
    `any_cost`: single rules may cost what they like.
    """
    if not has_rules(schema):
        return []
    from ledger.scheme.cel.rules import definition_errors as found

    return found(schema, path, shown, skip, any_cost)


# --- paths -----------------------------------------------------------------------------------------------------------
_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|[.\[\]]|[^.\[\]]+", re.DOTALL)


def resolve_path(given: str, schema: Schema, arrays: bool = True) -> tuple[str, Schema | None, str]:
    """(the path as field errors print it, the schema it leads to, what is wrong with it) of ".spec.a['b']".

    `arrays`: whether ['name'] is allowed. Follows cel.ValidFieldPath.
    """
    tokens = iter(_TOKEN.findall(given))
    node: Any = schema
    path = ""
    for token in tokens:
        if token == "[":
            if not arrays:
                return "", None, "array notation is not allowed"
            token = next(tokens, "")
            if not token:
                return "", None, "unexpected end of JSON path"
            if len(token) < 2 or token[0] != "'" or token[-1] != "'":
                return "", None, f"expected single quoted string but got {token}"
            name = re.sub(r"\\(.)", r"\1", token[1:-1])
            closing = next(tokens, "")
            if closing != "]":
                wrong = f"expected ] but got {closing}" if closing else "unexpected end of JSON path"
                return "", None, wrong
        elif token == ".":
            name = next(tokens, "")
            if not name:
                return "", None, "unexpected end of JSON path"
        else:
            return "", None, f"expected [ or . but got: {token}"
        if node.get("properties") is not None:
            if name not in node["properties"]:
                return "", None, "does not refer to a valid field"
            node, path = node["properties"][name], f"{path}.{name}" if path else name
        elif isinstance(node.get("additionalProperties"), dict):
            node, path = node["additionalProperties"], f"{path}[{name}]"
        else:
            return "", None, "does not refer to a valid field"
    return path, node, ""

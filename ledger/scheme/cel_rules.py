"""x-kubernetes-validations: rules in CEL that custom resources are held to, after their schema.

A rule sees the value of its node as `self` and, on updates, what it was as `oldSelf`. Values are untyped here, so what
upstream finds wrong with the types of a rule when it is defined goes unnoticed, and a rule that asks for a function
this server does not know is not applied. Follows pkg/apiserver/schema/cel/validation.go of k8s.io/apiextensions-apiserver,
without its cost budget.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

from ledger.apimachinery.field import OMITTED, FieldError
from ledger.apimachinery.gotext import same
from ledger.apimachinery.json_codec import dumps_sorted
from ledger.apimachinery.resource import Schema
from ledger.scheme.schema_validation import NO_PATH, UNKNOWN

RULES = "x-kubernetes-validations"
MESSAGE_BYTES_MAX = 5120
_META: dict[str, Schema] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"type": "object", "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}},
}
_SYNTAX = "Syntax error"


class RuleError(ValueError):
    """A rule that is no CEL; the text is what the compiler says."""


def has_rules(schema: Schema) -> bool:
    """Whether there is a rule anywhere in a schema."""
    return bool(schema.get(RULES)) or any(has_rules(one) for one in _below(schema))


def _below(schema: Schema) -> Iterator[Schema]:
    yield from (schema.get("properties") or {}).values()
    yield from (one for one in (schema.get("items"), schema.get("additionalProperties")) if isinstance(one, dict))


def check_syntax(expression: str) -> None:
    """Raises RuleError for what does not parse."""
    compiled = _compiled(expression, "")
    if isinstance(compiled, RuleError) and _SYNTAX in str(compiled):
        raise compiled


def rule_errors(schema: Schema, value: Any, old: Any = UNKNOWN, path: str = "", root: bool = True) -> list[FieldError]:
    """The rules that a value breaks, outermost first. `old` is UNKNOWN on creation and where nothing corresponds."""
    if not has_rules(schema):
        return []
    errors: list[FieldError] = []
    if value is not None:
        for rule in schema.get(RULES) or ():
            error = _broken(schema, rule, value, old, path, root)
            errors += [error] if error else []
    if isinstance(value, dict):
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
        for name in sorted(value):
            below = properties.get(name, more)
            if isinstance(below, dict):
                known = old[name] if isinstance(old, dict) and name in old else UNKNOWN
                at = f"{path}[{name}]" if name not in properties else f"{path}.{name}" if path else name
                errors += rule_errors(below, value[name], known, at, root=False)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        before = _by_key(schema, old)
        for index, one in enumerate(value):
            known = before.get(_key(schema, one), UNKNOWN)
            errors += rule_errors(schema["items"], one, known, f"{path}[{index}]", root=False)
    return errors


def _key(schema: Schema, item: Any) -> bytes:
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    return dumps_sorted([item.get(key) for key in keys]) if isinstance(item, dict) else b""


def _by_key(schema: Schema, old: Any) -> dict[bytes, Any]:
    """The old elements of a list that is a map; elements of other lists correspond to nothing."""
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(old, list):
        return {}
    return {_key(schema, one): one for one in old}


# --- one rule --------------------------------------------------------------------------------------------------------
def _broken(schema: Schema, rule: dict[str, Any], value: Any, old: Any, path: str, root: bool) -> FieldError | None:
    text: str = rule["rule"]
    is_transition, optional = re.search(r"\boldSelf\b", text) is not None, bool(rule.get("optionalOldSelf"))
    if is_transition and old is UNKNOWN and not optional:
        return None
    if old is not UNKNOWN and not is_transition and same(value, old):
        return None  # what an update left alone is not held against it
    prefix = "" if not optional else "optional.none()" if old is UNKNOWN else "optional.of(oldValue)"
    data = {"self": as_cel(schema, value, root)}
    if old is not UNKNOWN:
        data["oldSelf"] = data["oldValue"] = as_cel(schema, old, root)
    outcome = _evaluate(text, prefix, data)
    if outcome is True or outcome is None:
        return None
    if isinstance(outcome, str):
        told = (rule.get("message") or "").strip() or text.strip()
        return FieldError("Invalid", path or NO_PATH, schema.get("type") or "", f"{outcome} evaluating rule: {told}")
    message = _message(rule, prefix, data)
    at = _field(path, rule.get("fieldPath") or "")
    shown = OMITTED if isinstance(value, (dict, list)) else value
    match rule.get("reason"):
        case "FieldValueForbidden":
            return FieldError("Forbidden", at, detail=message)
        case "FieldValueRequired":
            return FieldError("Required", at, detail=message)
        case "FieldValueDuplicate":
            return FieldError("Duplicate", at, shown)
    return FieldError("Invalid", at, shown, message)


def _field(path: str, given: str) -> str:
    """The field that a rule names as the culprit, below its own."""
    below = re.sub(r"\['((?:[^'\\]|\\.)*)'\]", r"[\1]", given).removeprefix(".")
    if not below:
        return path or NO_PATH
    return f"{path}{below}" if below.startswith("[") else f"{path}.{below}" if path else below


def _message(rule: dict[str, Any], prefix: str, data: dict[str, Any]) -> str:
    """What the rule says of itself: an expression that gives a line of text, else a text, else the rule."""
    if rule.get("messageExpression"):
        made = _evaluate(rule["messageExpression"], prefix, data, message=True)
        if isinstance(made, str) and made.strip() and "\n" not in made and len(made.encode()) <= MESSAGE_BYTES_MAX:
            return made.strip()
    given = (rule.get("message") or "").strip()
    return given or f"failed rule: {rule['rule'].strip()}"


def _evaluate(text: str, prefix: str, data: dict[str, Any], message: bool = False) -> bool | str | None:
    """True or False; what went wrong as text; None: the rule cannot be applied here. A message's own text if asked."""
    compiled = _compiled(text, prefix)
    if isinstance(compiled, RuleError):
        return None
    result = compiled.eval(data=data)
    if result.type() == cel.Type.ERROR:
        why = str(result.value())
        missing = re.search(r'Key not found in map : "(.*)"', why)
        if message or not missing:
            return None  # types that do not match are ours: upstream has checked them beforehand
        return f"no such key: {missing[1]}"
    value = result.value()
    return value if isinstance(value, (bool, str)) and isinstance(value, str) == message else None


@lru_cache(maxsize=4096)
def _compiled(text: str, prefix: str) -> Any:
    """The expression, or a RuleError. `prefix`: what oldSelf stands for where it is optional."""
    try:
        return _environment().compile(f"cel.bind(oldSelf, {prefix}, {text})" if prefix else text)
    except Exception as error:  # the library raises what its binding makes of a status
        return RuleError(re.sub(r"^INVALID_ARGUMENT: | \[INVALID_ARGUMENT\]$", "", str(error)))


@lru_cache(maxsize=1)
def _environment() -> cel.Env:
    dyn = cel.Type.DYN
    extensions = [
        ext_strings.ExtStrings(),
        ext_bindings.ExtBindings(),
        ext_optional.ExtOptional(),
        ext_math.ExtMath(),
        ext_encoders.ExtEncoders(),
        cel.CelExtension("kubernetes", _functions()),
    ]
    return cel.NewEnv(variables={"self": dyn, "oldSelf": dyn, "oldValue": dyn}, extensions=extensions)


def _functions() -> list[cel.FunctionDecl]:
    """Kubernetes' own functions on lists and texts, and those of sets."""
    one, many, text = cel.Type.DYN, cel.Type.List(cel.Type.DYN), cel.Type.STRING
    truth, number = cel.Type.BOOL, cel.Type.INT
    table = (
        ("isSorted", truth, [many], True, lambda items: sorted(items) == items),
        ("sum", one, [many], True, sum),
        ("min", one, [many], True, min),
        ("max", one, [many], True, max),
        ("indexOf", number, [many, one], True, lambda items, item: items.index(item) if item in items else -1),
        ("find", text, [text, text], True, lambda given, pattern: _found(pattern, given)),
        ("findAll", many, [text, text], True, lambda given, pattern: [one[0] for one in re.finditer(pattern, given)]),
        ("sets.contains", truth, [many, many], False, lambda left, right: all(item in left for item in right)),
        ("sets.intersects", truth, [many, many], False, lambda left, right: any(item in left for item in right)),
        (
            "sets.equivalent",
            truth,
            [many, many],
            False,
            lambda left, right: all(item in left for item in right) and all(item in right for item in left),
        ),
    )
    return [
        cel.FunctionDecl(name, [cel.Overload(f"k8s_{name}_{len(given)}", result, given, member, function)])
        for name, result, given, member, function in table
    ]


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[0] if found else ""


# --- values ----------------------------------------------------------------------------------------------------------
_RESERVED = frozenset(
    {
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
    }
    | {"loop", "package", "namespace", "return", "var", "void", "while"}
)


def escaped(name: str) -> str:
    """A property's name as rules write it (cel.Escape in k8s.io/apiserver)."""
    if name in _RESERVED:
        return f"__{name}__"
    parts = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
    return re.sub(r"__|[.\-/]", lambda found: parts[found[0]], name)


def as_cel(schema: Schema, value: Any, root: bool = False) -> Any:
    """A value as rules see it: what the schema declares, under names that CEL takes; numbers as they are declared."""
    if isinstance(value, dict):
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
        if root or schema.get("x-kubernetes-embedded-resource"):
            properties = {**properties, **_META}
        if isinstance(more, dict):
            return {name: as_cel(more, one) for name, one in value.items()}
        if not properties:
            return value
        return {escaped(name): as_cel(properties[name], one) for name, one in value.items() if name in properties}
    if isinstance(value, list):
        items = schema.get("items")
        return [as_cel(items, one) for one in value] if isinstance(items, dict) else value
    if isinstance(value, float) or (schema.get("type") == "number" and isinstance(value, int)):
        return float(value)
    return value

"""Values against an OpenAPI v3 schema, as k8s.io/kube-openapi/pkg/validation/validate checks them, in its words and order.

Schemas are compiled once. An update does not report what it left as it was (ratcheting): `old` goes along with the value
wherever the two can be matched.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ledger.apimachinery.field import FieldError, quoted, too_long, too_many
from ledger.apimachinery.gotext import float_text, same
from ledger.apimachinery.json_codec import dumps_sorted
from ledger.apimachinery.resource import Schema
from ledger.scheme.go_patterns import PatternError, compiled
from ledger.scheme.string_formats import conforms, known_format

UNKNOWN: Any = object()  # there is no old value that this one could be compared with
NO_PATH = "<nil>"
JSON_INTEGER_MAX = (1 << 53) - 1


class Finding(NamedTuple):
    """One error: `code` says how it becomes a FieldError, `name` where it is; "plain" ones have no place."""

    code: str
    text: str
    name: str = ""
    value: Any = None
    limit: int = -1


class Result:
    """Findings, each text once, and how many checks went well: anyOf and oneOf report the alternative that came closest."""

    __slots__ = ("findings", "matches")

    def __init__(self, *findings: Finding) -> None:
        self.findings = list(findings)
        self.matches = 0

    def add(self, finding: Finding) -> None:
        if all(one.text != finding.text for one in self.findings):
            self.findings.append(finding)

    def merge(self, other: Result) -> None:
        for finding in other.findings:
            self.add(finding)
        self.matches += other.matches


def validate(schema: Schema, value: Any, old: Any = UNKNOWN, path: str = "") -> list[FieldError]:
    """What is wrong with a value; `path` is the field it stands in, "" for a whole object."""
    result = validator(schema).ratcheted(value, "", old)
    return [_field_error(finding, path) for finding in result.findings]


def validator(schema: Schema) -> Validator:
    """The compiled form of a schema, which must not change any more."""
    return _compiled(_Identity(schema))


class _Identity:
    """A cache key that is the schema dict itself, not what it holds."""

    __slots__ = ("schema",)

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def __hash__(self) -> int:
        return id(self.schema)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.schema is self.schema


@lru_cache(maxsize=1024)
def _compiled(identity: _Identity) -> Validator:
    return Validator(identity.schema)


class Validator:
    """One node of a schema. Checks run in upstream's order: type, combinations, string, format, number, list, enum, object."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.types = _types(schema)
        self.format = known_format(schema.get("format") or "", self.types[0] if len(self.types) == 1 else "")
        self.nullable = bool(schema.get("nullable"))
        self.enum: Sequence[Any] = schema.get("enum") or ()
        self.all_of, self.any_of, self.one_of = (
            [Validator(one) for one in schema.get(key) or ()] for key in ("allOf", "anyOf", "oneOf")
        )
        self.negated = Validator(schema["not"]) if isinstance(schema.get("not"), dict) else None
        self.properties = {name: Validator(one) for name, one in sorted((schema.get("properties") or {}).items())}
        more = schema.get("additionalProperties")
        self.additional = Validator(more) if isinstance(more, dict) else None
        self.closed = more is False
        self.items = Validator(schema["items"]) if isinstance(schema.get("items"), dict) else None
        self.keys: tuple[str, ...] = ()
        if schema.get("x-kubernetes-list-type") == "map":
            self.keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())

    def ratcheted(self, value: Any, path: str, old: Any) -> Result:
        """`check`, but nothing is wrong with what did not change."""
        result = self.check(value, path, old)
        if result.findings and old is not UNKNOWN and same(value, old):
            kept = Result()
            kept.matches = result.matches
            return kept
        return result

    def check(self, value: Any, path: str, old: Any = UNKNOWN) -> Result:
        result = Result()
        if value is None:
            result.merge(_check_type(self, value, path))
            result.merge(_check_enum(self, value, path))
            return result
        kind = _kind(value)
        if self.types or self.format:
            result.merge(_check_type(self, value, path))
            result.matches += 1
        result.merge(_check_combinations(self, value, path, old))
        result.matches += 1
        if kind == "string":
            result.merge(_check_string(self, value, path))
            result.matches += 1
            if self.format:
                if not conforms(self.format, value):
                    result.add(_wrong_type(path, self.format, value))
                result.matches += 1
        elif kind in ("integer", "number"):
            result.merge(_check_number(self, value, path))
            result.matches += 1
        elif kind == "array":
            result.merge(_check_list(self, value, path, old))
            result.matches += 1
        result.merge(_check_enum(self, value, path))
        result.matches += 1
        if kind == "object":
            result.merge(_check_object(self, value, path, old))
            result.matches += 1
        result.matches += 1
        return result


def _types(schema: Schema) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return ("integer", "string")
    return (schema["type"],) if schema.get("type") else ()


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "array" if isinstance(value, list) else "object"


# --- type and enum ---------------------------------------------------------------------------------------------------
def _wrong_type(path: str, expected: str, actual: str) -> Finding:
    return Finding("type", f"{path} in body must be of type {expected}: {quoted(actual)}", path, actual)


def _check_type(node: Validator, value: Any, path: str) -> Result:
    passed = Result()
    passed.matches = 1
    if value is None:
        if node.types and not node.nullable:
            return Result(_wrong_type(path, ",".join(node.types), "null"))
        return passed
    kind = _kind(value)
    whole_float = kind == "number" and _is_whole(value) and "integer" in node.types
    fits = kind in node.types or whole_float or (kind == "integer" and "number" in node.types)
    if kind not in ("string", "array") and node.format:
        native = {"integer": "int64", "number": "float64"}.get(kind, "")
        if not (fits or native == node.format):
            return Result(_wrong_type(path, node.format, native))
    numeric = "number" in node.types or "integer" in node.types
    if node.format and not numeric and kind in ("string", "array"):
        return passed
    if not fits:
        return Result(_wrong_type(path, ",".join(node.types), kind))
    return passed


def _check_enum(node: Validator, value: Any, path: str) -> Result:
    if not node.enum or any(_equal_enum(value, one) for one in node.enum):
        return Result()
    return Result(Finding("enum", f"{path} in body should be one of {node.enum}", path, (value, node.enum)))


def _equal_enum(value: Any, member: Any) -> bool:
    if member is None or value is None:
        return False
    if _kind(value) in ("integer", "number") and _kind(member) in ("integer", "number"):
        return bool(value == member)
    return same(value, member)


# --- allOf, anyOf, oneOf, not ----------------------------------------------------------------------------------------
def _check_combinations(node: Validator, value: Any, path: str, old: Any) -> Result:
    main = Result()
    main.matches = 1
    if node.any_of:
        _check_any_of(node, value, path, old, main)
    if node.one_of:
        _check_one_of(node, value, path, old, main)
    if node.all_of:
        results = [one.check(value, path, old) for one in node.all_of]
        for one in results:
            main.merge(one)
        valid = sum(not one.findings for one in results)
        if valid != len(results):
            more = "" if valid else ". None validated"
            main.add(Finding("plain", f"{quoted(path)} must validate all the schemas (allOf){more}"))
    if node.negated is not None and not node.negated.check(value, path, old).findings:
        main.add(Finding("plain", f"{quoted(path)} must not validate the schema (not)"))
    return main


def _check_any_of(node: Validator, value: Any, path: str, old: Any, main: Result) -> None:
    closest: Result | None = None
    for one in node.any_of:
        result = one.check(value, path, old)
        if not result.findings:
            main.merge(result)
            return
        if closest is None or result.matches > closest.matches:
            closest = result
    main.add(Finding("plain", f"{quoted(path)} must validate at least one schema (anyOf)"))
    if closest is not None:
        main.merge(closest)


def _check_one_of(node: Validator, value: Any, path: str, old: Any, main: Result) -> None:
    closest: Result | None = None
    first: Result | None = None
    valid = 0
    for one in node.one_of:
        result = one.check(value, path, old)
        if not result.findings:
            valid, closest, first = valid + 1, None, first or result
        elif not valid and (closest is None or result.matches > closest.matches):
            closest = result
    if valid == 1 and first is not None:
        main.merge(first)
        return
    found = f"Found {valid} valid alternatives" if valid else "Found none valid"
    main.add(Finding("plain", f"{quoted(path)} must validate one and only one schema (oneOf). {found}"))
    if closest is not None:
        main.merge(closest)


# --- strings and numbers ---------------------------------------------------------------------------------------------
def _check_string(node: Validator, value: str, path: str) -> Result:
    schema = node.schema
    longest, shortest, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if longest is not None and len(value) > longest:
        text = f"{path} in body should be at most {longest} chars long"
        return Result(Finding("long", text, path, value, longest))
    if shortest is not None and len(value) < shortest:
        return Result(Finding("value", f"{path} in body should be at least {shortest} chars long", path, value))
    if pattern:
        try:
            matched = compiled(pattern).search(value)
        except PatternError as error:
            text = f"{path} in body should match '{pattern}, but pattern is invalid: {error}'"
            return Result(Finding("value", text, path, value))
        if not matched:
            return Result(Finding("value", f"{path} in body should match '{pattern}'", path, value))
    return Result()


def _check_number(node: Validator, value: Any, path: str) -> Result:
    schema = node.schema
    result = Result()
    result.matches = 1
    _check_range(node, value, "Checked", path, result)
    if (factor := schema.get("multipleOf")) is not None:
        fits = _check_range(node, factor, "MultipleOf", path, result)
        _check_multiple(value, int(factor) if fits and isinstance(value, int) else factor, path, result)
    for key, exclusive, sign, words in (
        ("minimum", "exclusiveMinimum", -1, ("greater than or equal to", "greater than")),
        ("maximum", "exclusiveMaximum", 1, ("less than or equal to", "less than")),
    ):
        if (limit := schema.get(key)) is None:
            continue
        fits = _check_range(node, limit, f"{key.capitalize()} boundary", path, result)
        if fits and isinstance(value, int):
            limit = int(limit)
        beyond = (value - limit) * sign
        strict = bool(schema.get(exclusive))
        if beyond > 0 or (strict and beyond == 0):
            text = f"{path} in body should be {words[strict]} {_number(limit)}"
            result.add(Finding("value", text, path, value))
    return result


def _number(value: Any) -> str:
    return float_text(float(value)) if isinstance(value, float) else str(value)


def _check_multiple(value: Any, factor: Any, path: str, result: Result) -> None:
    """Of a whole value only the whole part of the factor counts, as upstream has it."""
    if factor <= 0:
        text = f"factor MultipleOf declared for {path} must be positive: {_number(factor)}"
        result.add(Finding("value", text, path, factor))
    elif isinstance(factor, int) and isinstance(value, int):
        if value % factor:
            result.add(Finding("value", f"{path} in body should be a multiple of {factor}", path, value))
    elif not _is_whole(1 / factor * value if factor < 1 else value / factor):
        result.add(Finding("value", f"{path} in body should be a multiple of {_number(factor)}", path, value))


def _is_whole(value: float) -> bool:
    """Whether a float is an integer as far as JSON can tell (swag.IsFloat64AJSONInteger)."""
    if not -JSON_INTEGER_MAX <= value <= JSON_INTEGER_MAX:
        return False
    whole = float(int(value))
    return value == whole or abs(value - whole) < 1e-9 * max(abs(value) + abs(whole), 1e-300)


def _check_range(node: Validator, value: Any, what: str, path: str, result: Result) -> bool:
    """Whether a number is within its type and format; what is not is reported without a place, as upstream has it."""
    type_name = node.types[0] if len(node.types) == 1 and node.types[0] in ("integer", "number") else ""
    name = node.format if type_name else ""
    if type_name == "integer":
        bits = 31 if name == "int32" else 63
        fits = float(value).is_integer() and -(1 << bits) <= value < 1 << bits
    else:
        fits = name != "float" or _fits_float32(value)
    if not fits:
        form = f"with format {name}" if name else "(default format)"
        result.add(Finding("plain", f"{what} value must be of type {type_name} {form} in {path}"))
    return fits


def _fits_float32(value: Any) -> bool:
    try:
        struct.pack("<f", value)
    except OverflowError:
        return False
    return True


# --- lists and objects -----------------------------------------------------------------------------------------------
def _check_list(node: Validator, value: list[Any], path: str, old: Any) -> Result:
    result = Result()
    result.matches = 1
    if node.items is not None:
        before = _by_keys(old, node.keys) if node.keys and isinstance(old, list) else {}
        for index, one in enumerate(value):
            known = before.get(_key(one, node.keys), UNKNOWN) if before else UNKNOWN
            result.merge(node.items.ratcheted(one, f"{path}[{index}]", known))
    fewest, most = node.schema.get("minItems"), node.schema.get("maxItems")
    if fewest is not None and len(value) < fewest:
        result.add(Finding("value", f"{path} in body should have at least {fewest} items", path, len(value)))
    if most is not None and len(value) > most:
        result.add(Finding("many", f"{path} in body should have at most {most} items", path, len(value), most))
    return result


def _by_keys(items: list[Any], keys: tuple[str, ...]) -> dict[bytes, Any]:
    return {_key(one, keys): one for one in reversed(items) if isinstance(one, dict)}


def _key(item: Any, keys: tuple[str, ...]) -> bytes:
    return dumps_sorted([item.get(key) for key in keys]) if isinstance(item, dict) else b""


def _check_object(node: Validator, value: dict[str, Any], path: str, old: Any) -> Result:
    result = Result()
    fewest, most = node.schema.get("minProperties"), node.schema.get("maxProperties")
    if fewest is not None and len(value) < fewest:
        result.add(Finding("value", f"{path} in body should have at least {fewest} properties", path, len(value)))
    if most is not None and len(value) > most:
        result.add(Finding("many", f"{path} in body should have at most {most} properties", path, len(value), most))
    for name in sorted(value.keys() - node.properties.keys()):
        if node.closed:
            text = f"{path}.{name} in body is a forbidden property"
            result.add(Finding("value", text, path, name))
        elif node.additional is not None:
            result.merge(_member(node.additional, value, name, f"{path}.{name}", path, old))
    for name, known in node.properties.items():
        if name in value:
            result.merge(_member(known, value, name, f"{path}.{name}" if path else name, path, old))
    for name in node.schema.get("required") or ():
        if name not in value:
            result.add(Finding("required", f"{path}.{name} in body is required", f"{path}.{name}"))
    return result


def _member(node: Validator, value: dict[str, Any], name: str, at: str, path: str, old: Any) -> Result:
    known = old[name] if isinstance(old, dict) and name in old else UNKNOWN
    if known is UNKNOWN or (not path and name in ("kind", "apiVersion")):
        return node.check(value[name], at)
    return node.ratcheted(value[name], at, known)


# --- field errors ----------------------------------------------------------------------------------------------------
def _field_error(finding: Finding, path: str) -> FieldError:
    """kubeOpenAPIResultToFieldErrors."""
    if finding.code == "plain":
        return FieldError("Invalid", path or NO_PATH, "", finding.text)
    name = finding.name.removeprefix(".")
    at = f"{path}.{name}" if path and name else name or path or NO_PATH
    value = "" if finding.value is None else finding.value
    match finding.code:
        case "required":
            return FieldError("Required", at)
        case "enum":
            shown, members = finding.value
            texts = ", ".join(quoted(one if isinstance(one, str) else dumps_sorted(one).decode()) for one in members)
            return FieldError("NotSupported", at, shown, f"supported values: {texts}")
        case "long":
            return too_long(at, finding.limit)
        case "many":
            return too_many(at, finding.value, finding.limit)
        case "type":
            return FieldError("TypeInvalid", at, value, finding.text)
    return FieldError("Invalid", at, value, finding.text)

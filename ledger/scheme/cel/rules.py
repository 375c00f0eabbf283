"""The rules of a schema: compiled with the types the schema declares, and evaluated for a value and what it was.

Follows pkg/apiserver/schema/cel/{compilation,validation}.go of k8s.io/apiextensions-apiserver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ledger.apimachinery.field import OMITTED, FieldError, invalid
from ledger.apimachinery.gotext import same
from ledger.apimachinery.json_codec import dumps_sorted
from ledger.apimachinery.resource import Schema
from ledger.scheme.cel import CelError, Environment, Program
from ledger.scheme.cel.cost.budget import Budget, contained
from ledger.scheme.cel.cost.estimate import estimate
from ledger.scheme.cel.cost.interval import MAX
from ledger.scheme.cel.cost.sizes import Shape, shape_of
from ledger.scheme.cel.evaluate import OUT_OF_BUDGET
from ledger.scheme.cel.schemas import as_cel, as_resource, declared, is_embedded, once
from ledger.scheme.cel.types import BOOL, STRING, Type, optional_of
from ledger.scheme.cel.values import NOTHING, Optional
from ledger.scheme.cel_rules import RULES, has_rules, resolve_path
from ledger.scheme.schema_validation import NO_PATH

MESSAGE_BYTES_MAX = 5120
_SELF = "selfType"  # what the type of self is called in messages


@dataclass(slots=True)
class Rule:
    """One rule. `error` and `message_error`: why it, or its messageExpression, does not compile."""

    given: dict[str, Any]
    program: Program | None = None
    error: str = ""
    message: Program | None = None
    message_error: str = ""
    place: str = ""  # the field it names as the culprit, below its own

    @property
    def uses_old(self) -> bool:
        return self.program is not None and "oldSelf" in self.program.names

    @property
    def optional_old(self) -> bool:
        return bool(self.given.get("optionalOldSelf"))

    @property
    def told(self) -> str:
        return str(self.given.get("message") or self.given["rule"]).strip()


def compile_rules(rules: list[dict[str, Any]], schema: Schema, own: Type) -> list[Rule]:
    """Rules about values of a schema, whose type is `own`."""
    plain = Environment({"self": own, "oldSelf": own})
    optional = Environment({"self": own, "oldSelf": optional_of(own)})
    return [_compiled(given, schema, optional if given.get("optionalOldSelf") else plain) for given in rules]


def _cost(expression: str, given: dict[str, Any], own: Type, shape: Shape) -> int:
    """What an expression that compiles costs at worst."""
    before = optional_of(own) if given.get("optionalOldSelf") else own
    return estimate(*Environment({"self": own, "oldSelf": before}).checked(expression), shape).most


def _compiled(given: dict[str, Any], schema: Schema, environment: Environment) -> Rule:
    rule = Rule(given)
    if not (given.get("rule") or "").strip():
        return rule
    try:
        program = environment.compile(given["rule"])
    except CelError as error:
        rule.error = f"compilation failed: {error}"
        return rule
    if program.result != BOOL:
        rule.error = "cel expression must evaluate to a bool"
        return rule
    rule.program = program
    if given.get("messageExpression"):
        try:
            rule.message = environment.compile(given["messageExpression"])
        except CelError as error:
            rule.message_error = f"messageExpression compilation failed: {error}"
            return rule
        if rule.message.result != STRING:
            rule.message, rule.message_error = None, "messageExpression must evaluate to a string"
            return rule
    rule.place = resolve_path(given.get("fieldPath") or "", schema)[0]
    return rule


# --- when a definition is written ------------------------------------------------------------------------------------
def definition_errors(
    schema: Schema,
    path: str,
    shown: Callable[[dict[str, Any]], Any],
    skip: Callable[[str], bool],
    any_cost: bool = False,
) -> list[FieldError]:
    """What is wrong with the rules of a structural schema. `skip`: whether something else is wrong at or below a path.

    `any_cost`: a single rule may cost what it likes, as it was there before.
    """
    budget = Budget(any_cost)
    found = list(_Definition(shown, skip, budget).errors(schema, path, True, None, "", 1))
    return found + budget.excess(path)


@dataclass(frozen=True, slots=True)
class _Definition:
    shown: Callable[[dict[str, Any]], Any]
    skip: Callable[[str], bool]
    budget: Budget

    def errors(
        self, schema: Schema, path: str, root: bool, own: Type | None, uncorrelated: str, times: int | None
    ) -> Iterator[FieldError]:
        """`own`: the type, where a rule further up has it made. `uncorrelated`: the list that oldSelf cannot reach into.

        `times`: how often such a value can occur at most, None: the schema does not say.
        """
        if not has_rules(schema):
            return
        inside = contained(schema, times)
        rules = schema.get(RULES) or []
        if rules and own is None:
            own = declared(schema, root or is_embedded(schema), _SELF)
        more, items = schema.get("additionalProperties"), schema.get("items")
        if isinstance(more, dict):
            below = own.parameters[1] if own is not None and own.name == "map" else None
            yield from self.errors(more, f"{path}.additionalProperties", False, below, uncorrelated, inside)
        for name, one in sorted((schema.get("properties") or {}).items()):
            yield from self.errors(one, f"{path}.properties[{name}]", False, None, uncorrelated, inside)
        if isinstance(items, dict):
            below = own.parameters[0] if own is not None and own.name == "list" else None
            is_map = schema.get("x-kubernetes-list-type") == "map"
            inner = uncorrelated or ("" if is_map else path)
            yield from self.errors(items, f"{path}.items", False, below, inner, inside)
        if rules and not self.skip(path):
            shape = shape_of(schema, root or is_embedded(schema))
            yield from self._of_node(schema, rules, f"{path}.{RULES}", own, shape, uncorrelated, times)

    def _of_node(
        self,
        schema: Schema,
        rules: list[dict[str, Any]],
        path: str,
        own: Type | None,
        shape: Shape | None,
        uncorrelated: str,
        times: int | None,
    ) -> Iterator[FieldError]:
        if own is None or shape is None:
            why = "unable to convert structural schema to CEL declarations"
            text = "internal error: failed to construct type information for x-kubernetes-validations rules"
            yield FieldError("Internal", path, detail=f"{text}: {why}")
            return
        for index, rule in enumerate(compile_rules(rules, schema, own)):
            at = f"{path}[{index}]"
            if rule.program is not None:
                cost = _cost(rule.given["rule"], rule.given, own, shape)
                cost = min(MAX, cost * (shape.occurrences if times is None else times))
                yield from self.budget.spend(cost, f"{at}.rule", "rule")
            if rule.error:
                yield invalid(f"{at}.rule", self.shown(rule.given), rule.error)
            if rule.message is not None:
                cost = _cost(rule.given["messageExpression"], rule.given, own, shape)
                yield from self.budget.spend(cost, f"{at}.messageExpression", "messageExpression")
            if rule.message_error:
                yield invalid(f"{at}.messageExpression", self.shown(rule.given), rule.message_error)
            if rule.uses_old and uncorrelated:
                text = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelated}"
                yield invalid(f"{at}.rule", rule.given["rule"], text)
            elif not rule.uses_old and (optional := rule.given.get("optionalOldSelf")) is not None:
                yield invalid(f"{at}.optionalOldSelf", optional, "may not be set if oldSelf is not used in rule")


# --- the rules of a schema and all below it --------------------------------------------------------------------------
@dataclass(slots=True)
class Validator:
    """A schema's node with rules at it or below it. `wrong`: it has rules, but no type."""

    schema: Schema
    rules: list[Rule] = field(default_factory=list)
    wrong: bool = False
    properties: dict[str, Validator] = field(default_factory=dict)
    additional: Validator | None = None
    items: Validator | None = None
    all_of: list[Validator] = field(default_factory=list)


def _validator(rules: Schema, schema: Schema, root: bool) -> Validator | None:
    """`rules`: where rules stand, the schema itself or a part of its allOf."""
    if not has_rules(rules):
        return None
    root = root or is_embedded(schema)
    own = declared(schema, root, _SELF)
    found = Validator(as_resource(schema) if root else schema)
    given = rules.get(RULES) or []
    if given:
        found.wrong = own is None
        found.rules = [] if own is None else compile_rules(given, schema, own)
    for name, one in (rules.get("properties") or {}).items():
        spine = (schema.get("properties") or {}).get(name)
        if spine is not None and (below := _validator(one, spine, False)) is not None:
            found.properties[name] = below
    found.additional = _below(rules, schema, "additionalProperties")
    found.items = _below(rules, schema, "items")
    found.all_of = [each for one in rules.get("allOf") or () if (each := _validator(one, schema, root)) is not None]
    return found


def _below(rules: Schema, schema: Schema, keyword: str) -> Validator | None:
    one, spine = rules.get(keyword), schema.get(keyword)
    return _validator(one, spine, False) if isinstance(one, dict) and isinstance(spine, dict) else None


@once
def _of_resource(schema: Schema) -> Validator | None:
    return _validator(schema, schema, True)


@once
def _of_part(schema: Schema) -> Validator | None:
    return _validator(schema, schema, False)


# --- evaluation ------------------------------------------------------------------------------------------------------
class _Kin:
    """A value and what it was; `old` is None where that cannot be known. Findings in what did not change are no errors."""

    def __init__(self, value: Any, old: Any, parent: _Kin | None) -> None:
        self.value, self.old, self.parent = value, old, parent

    @cached_property
    def unchanged(self) -> bool:
        if self.old is not None:
            return same(self.value, self.old)
        return self.parent is not None and self.parent.unchanged

    def child(self, value: Any, old: Any) -> _Kin:
        return _Kin(value, None if self.old is None else old, self)


class _OutOfBudget(Exception):
    """No more rules are evaluated."""


def evaluate(schema: Schema, value: Any, old: Any, path: str, root: bool) -> list[FieldError]:
    """The rules that a value breaks, outermost first. `old` is None on creation."""
    validator = (_of_resource if root else _of_part)(schema)
    errors: list[FieldError] = []
    if validator is not None:
        try:
            for error in _walk(validator, value, old, _Kin(value, old, None), path):
                errors.append(error)
        except _OutOfBudget:
            return errors
    return errors


def _walk(node: Validator, value: Any, old: Any, kin: _Kin, path: str) -> Iterator[FieldError]:
    if value is None:
        return
    yield from _of_value(node, value, old, kin, path)
    for one in node.all_of:
        yield from _walk(one, value, old, _Kin(value, None, kin.parent), path)
    if isinstance(value, list) and node.items is not None:
        before = _by_key(node.schema, old)
        for index, each in enumerate(value):
            was = before.get(_key(node.schema, each)) if before else None
            yield from _walk(node.items, each, was, kin.child(each, was), f"{path}[{index}]")
    elif isinstance(value, dict):
        known = old if isinstance(old, dict) else {}
        for name in sorted(value):
            below, at = node.properties.get(name), f"{path}.{name}" if path else name
            if below is None and name not in (node.schema.get("properties") or {}):
                below, at = node.additional, f"{path}[{name}]"
            if below is not None:
                was = known.get(name)
                yield from _walk(below, value[name], was, kin.child(value[name], was), at)


def _key(schema: Schema, item: Any) -> bytes:
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    return dumps_sorted([item.get(key) for key in keys]) if isinstance(item, dict) else b""


def _by_key(schema: Schema, old: Any) -> dict[bytes, Any]:
    """The old elements of a list that is a map; elements of other lists correspond to nothing."""
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(old, list):
        return {}
    return {_key(schema, one): one for one in old}


def _of_value(node: Validator, value: Any, old: Any, kin: _Kin, path: str) -> Iterator[FieldError]:
    kind, at = node.schema.get("type") or "", path or NO_PATH
    if node.wrong:
        text = "rule compiler initialization error: failed to convert to declType for CEL validation rules"
        yield invalid(at, kind, text)
        return
    if not node.rules:
        return
    try:
        own = as_cel(value, node.schema)
        before = None if old is None else as_cel(old, node.schema)
    except CelError as error:
        yield from (invalid(at, kind, f"{error} evaluating rule: {rule.told}") for rule in node.rules)
        return
    for rule in node.rules:
        if rule.error:
            yield invalid(at, kind, f"rule compile error: {rule.error}")
        elif rule.program is not None and not (rule.uses_old and old is None and not rule.optional_old):
            bindings = {"self": own, "oldSelf": before}
            if rule.optional_old:
                bindings["oldSelf"] = NOTHING if old is None else Optional(True, before)
            yield from _broken(rule, rule.program, bindings, value, kind, kin, path)


def _broken(
    rule: Rule, program: Program, bindings: dict[str, Any], value: Any, kind: str, kin: _Kin, path: str
) -> Iterator[FieldError]:
    try:
        if program.evaluate(bindings) is True:
            return
    except CelError as error:
        yield invalid(path or NO_PATH, kind, _failure(str(error), rule))
        if str(error) == OUT_OF_BUDGET:
            raise _OutOfBudget from None
        return
    if not rule.uses_old and kin.unchanged:
        return  # what an update left alone is not held against it
    at = ".".join(filter(None, (path, rule.place))) or NO_PATH
    shown = OMITTED if kind in ("object", "array") else value
    message = _message(rule, bindings)
    match rule.given.get("reason"):
        case "FieldValueForbidden":
            yield FieldError("Forbidden", at, detail=message)
        case "FieldValueRequired":
            yield FieldError("Required", at, detail=message)
        case "FieldValueDuplicate":
            yield FieldError("Duplicate", at, shown)
        case _:
            yield FieldError("Invalid", at, shown, message)


def _failure(why: str, rule: Rule) -> str:
    if why.startswith("no such overload"):
        text = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"'{why}': {text}: {rule.told}"
    if why == OUT_OF_BUDGET:
        return f"'{why}': no further validation rules will be run due to call cost exceeds limit for rule: {rule.told}"
    return f"{why} evaluating rule: {rule.told}"


def _message(rule: Rule, bindings: dict[str, Any]) -> str:
    """What the rule says of itself: an expression that gives a line of text, else a text, else the rule."""
    made: Any = None
    if rule.message is not None:
        try:
            made = rule.message.evaluate(bindings)
        except CelError:
            made = None  # its message, or the rule itself, says it then
    if isinstance(made, str):
        made = made.strip()
        if made and "\n" not in made and len(made.encode()) <= MESSAGE_BYTES_MAX:
            return str(made)
    return rule.told if rule.given.get("message") else f"failed rule: {rule.told}"

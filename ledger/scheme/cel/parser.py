"""An expression's text read into its parts, macros included (parser/parser.go and ext/ of cel-go)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger.scheme.cel import types
from ledger.scheme.cel.syntax import (
    Bind,
    Call,
    Comprehension,
    Expr,
    Ident,
    ListOf,
    Literal,
    MapOf,
    Message,
    Select,
    Source,
)
from ledger.scheme.cel.tokens import Token, tokens, unquoted
from ledger.scheme.cel.values import RESERVED

DEPTH_MAX = 250  # of parts inside of parts
_STARTS = ("[", "{", "(", ".", "-", "!", "true", "false", "null")
_STARTS_NAMED = ("NUM_FLOAT", "NUM_INT", "NUM_UINT", "STRING", "BYTES", "IDENTIFIER")
_RELATIONS = frozenset(("<", "<=", ">=", ">", "==", "!=", "in"))
_CONSTANTS = {"true": (True, types.BOOL), "false": (False, types.BOOL), "null": (None, types.NULL)}


class _Stop(Exception):
    """Reading ends at the first token that fits nowhere."""


def parse(source: Source) -> Expr:
    """The whole text as one expression. Raises CelError with all that is wrong."""
    parser = _Parser(source, tokens(source))
    try:
        expression = parser.expression()
        parser.end()
    except _Stop:
        source.check()
        raise
    source.check()
    return expression


class _Parser:
    def __init__(self, source: Source, found: list[Token]) -> None:
        self.source, self.tokens, self.place, self.depth = source, found, 0, 0

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def take(self) -> Token:
        token = self.tokens[self.place]
        self.place += token.kind != "EOF"
        return token

    def accept(self, kind: str) -> Token | None:
        return self.take() if self.token.kind == kind else None

    def expect(self, kind: str, shown: str = "") -> Token:
        token = self.token
        if token.kind != kind:
            shown = shown or f"'{kind}'"
            missing = kind in ")]}" and token.kind in (")", "]", "}", "EOF")
            text = f"missing {shown} at" if missing else "mismatched input"
            tail = "" if missing else f" expecting {shown}"
            self.stop(f"{text} '{token.text}'{tail}")
        return self.take()

    def stop(self, message: str) -> None:
        self.source.report(self.token.at, f"Syntax error: {message}")
        raise _Stop

    def end(self) -> None:
        if self.token.kind != "EOF":
            last = self.tokens[self.place + 1].kind == "EOF"
            self.stop(f"{'extraneous' if last else 'mismatched'} input '{self.token.text}' expecting <EOF>")

    def wanted_expression(self, *closing: str) -> None:
        starts = [f"'{one}'" for one in (*_STARTS[:3], *closing, *_STARTS[3:])]
        wanted = f"{{{', '.join([*starts, *_STARTS_NAMED])}}}"
        following = self.tokens[min(self.place + 1, len(self.tokens) - 1)].kind
        extra = self.token.kind != "EOF" and following in (*_STARTS, *_STARTS_NAMED)
        self.stop(f"{'extraneous' if extra else 'mismatched'} input '{self.token.text}' expecting {wanted}")

    # --- operators, the weakest first ---
    def expression(self, *closing: str) -> Expr:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            self.source.report(-1, f"expression recursion limit exceeded: {DEPTH_MAX}")
            raise _Stop
        condition = self.disjunction(*closing)
        if mark := self.accept("?"):
            yes = self.disjunction()
            self.expect(":")
            condition = Call(mark.at, "_?_:_", [condition, yes, self.expression()])
        self.depth -= 1
        return condition

    def disjunction(self, *closing: str) -> Expr:
        return self.left(self.conjunction, ("||",), *closing)

    def conjunction(self, *closing: str) -> Expr:
        return self.left(self.relation, ("&&",), *closing)

    def relation(self, *closing: str) -> Expr:
        return self.left(self.sum, tuple(_RELATIONS), *closing)

    def sum(self, *closing: str) -> Expr:
        return self.left(self.product, ("+", "-"), *closing)

    def product(self, *closing: str) -> Expr:
        return self.left(self.unary, ("*", "/", "%"), *closing)

    def left(self, operand: Callable[..., Expr], operators: tuple[str, ...], *closing: str) -> Expr:
        value = operand(*closing)
        while self.token.kind in operators:
            sign = self.take()
            name = "@in" if sign.kind == "in" else f"_{sign.kind}_"
            value = Call(sign.at, name, [value, operand()])
        return value

    def unary(self, *closing: str) -> Expr:
        signs: list[Token] = []
        while self.token.kind in ("!", "-") and (not signs or self.token.kind == signs[0].kind):
            following = self.tokens[self.place + 1].kind
            if self.token.kind == "-" and not signs and following in ("NUM_INT", "NUM_FLOAT"):
                break
            signs.append(self.take())
        value = self.member(*closing)
        if len(signs) % 2:
            value = Call(signs[0].at, "!_" if signs[0].kind == "!" else "-_", [value])
        return value

    # --- selections and calls ---
    def member(self, *closing: str) -> Expr:
        value = self.primary(*closing)
        while self.token.kind in (".", "["):
            value = self.selection(value) if self.token.kind == "." else self.index(value)
        return value

    def selection(self, target: Expr) -> Expr:
        dot = self.take()
        optional = self.accept("?") is not None
        if self.token.kind == "ESC_IDENTIFIER":
            return Select(dot.at, target, self.take().text[1:-1], optional=optional)
        if self.token.kind != "IDENTIFIER":
            self.stop(f"no viable alternative at input '.{self.token.text.removeprefix('<EOF>')}'")
        name = self.take().text
        if not optional and self.token.kind == "(":
            opening = self.take()
            return self.member_call(target, name, opening.at, self.arguments())
        return Select(dot.at, target, name, optional=optional)

    def index(self, target: Expr) -> Expr:
        opening = self.take()
        name = "_[?_]" if self.accept("?") else "_[_]"
        key = self.expression()
        self.expect("]")
        return Call(opening.at, name, [target, key])

    def arguments(self) -> list[Expr]:
        found: list[Expr] = []
        while self.token.kind != ")":
            found.append(self.expression(*(() if found else (")",))))
            if self.accept(",") is None:
                break
            if self.token.kind == ")":
                self.wanted_expression()
        self.expect(")")
        return found

    # --- the smallest parts ---
    def primary(self, *closing: str) -> Expr:
        token = self.token
        if token.kind in _CONSTANTS:
            self.take()
            return Literal(token.at, *_CONSTANTS[token.kind])
        if token.kind in ("NUM_INT", "NUM_UINT", "NUM_FLOAT", "-"):
            return self.number()
        if token.kind in ("STRING", "BYTES"):
            self.take()
            return self.text(token)
        if token.kind == "(":
            self.take()
            inside = self.expression()
            self.expect(")")
            return inside
        if token.kind == "[":
            return self.a_list()
        if token.kind == "{":
            return self.a_map()
        if token.kind == "IDENTIFIER" or (token.kind == "." and self.tokens[self.place + 1].kind == "IDENTIFIER"):
            return self.named()
        self.wanted_expression(*closing)
        raise AssertionError("reading has stopped")

    def text(self, token: Token) -> Expr:
        kind = types.BYTES if token.kind == "BYTES" else types.STRING
        try:
            return Literal(token.at, unquoted(token.text), kind)
        except (ValueError, OverflowError):
            self.source.report(token.at, "invalid unicode code point")
            return Literal(token.at, "", kind)

    def number(self) -> Expr:
        first = self.token
        sign = "-" if self.accept("-") else ""
        token = self.take()
        digits = sign + token.text
        if token.kind == "NUM_FLOAT":
            return Literal(first.at, float(digits), types.DOUBLE)
        unsigned = token.kind == "NUM_UINT"
        value = int(digits.rstrip("uU"), 16 if "0x" in digits else 10)
        if not (0 <= value < 1 << 64 if unsigned else -(1 << 63) <= value < 1 << 63):
            self.source.report(first.at, f"invalid {'uint' if unsigned else 'int'} literal")
            value = 0
        return Literal(first.at, value, types.UINT if unsigned else types.INT)

    def a_list(self) -> Expr:
        opening = self.take()
        elements: list[Expr] = []
        optional: set[int] = set()
        while self.token.kind != "]":
            if self.accept("?"):
                optional.add(len(elements))
            elements.append(self.expression(*(() if elements else ("]",))))
            if self.accept(",") is None:
                break
            self.no_second_comma("]")
        self.closing("]", elements)
        return ListOf(opening.at, elements, frozenset(optional))

    def a_map(self) -> Expr:
        opening = self.take()
        entries: list[tuple[Expr, Expr, bool]] = []
        while self.token.kind != "}":
            optional = self.accept("?") is not None
            key = self.expression()
            self.expect(":")
            entries.append((key, self.expression(), optional))
            if self.accept(",") is None:
                break
            self.no_second_comma("}")
        self.closing("}", entries)
        return MapOf(opening.at, entries)

    def no_second_comma(self, sign: str) -> None:
        if self.token.kind == ",":
            self.stop(f"mismatched input ',' expecting '{sign}'")

    def closing(self, sign: str, found: list[Any]) -> None:
        if self.token.kind != sign and found:
            self.stop(f"mismatched input '{self.token.text}' expecting {{'{sign}', ','}}")
        self.expect(sign)

    def named(self) -> Expr:
        at = self.token.at
        leading = "." if self.accept(".") else ""
        token = self.take()
        end = self._message_name()
        if end is not None:
            parts = [token.text]
            while self.place < end:
                self.take()
                parts.append(self.take().text)
            return self.message(leading + ".".join(parts))
        if token.text in RESERVED:
            self.source.report(at, f"reserved identifier: {token.text}")
        if self.token.kind == "(":
            opening = self.take()
            return self.global_call(leading + token.text, opening.at, self.arguments())
        return Ident(token.at, leading + token.text)

    def _message_name(self) -> int | None:
        """Where the brace of `a.b.C{` stands, when what follows is one."""
        place = self.place
        while self.tokens[place].kind == "." and self.tokens[place + 1].kind == "IDENTIFIER":
            place += 2
        return place if self.tokens[place].kind == "{" else None

    def message(self, name: str) -> Expr:
        opening = self.take()
        fields: list[tuple[str, Expr, bool, int]] = []
        while self.token.kind != "}":
            optional = self.accept("?") is not None
            escaped = self.accept("ESC_IDENTIFIER")
            key = escaped.text[1:-1] if escaped else self.expect("IDENTIFIER", "{IDENTIFIER, ESC_IDENTIFIER}").text
            colon = self.expect(":")
            fields.append((key, self.expression(), optional, colon.at))
            if self.accept(",") is None:
                break
        self.expect("}")
        return Message(opening.at, name, fields)

    # --- macros ---
    def global_call(self, name: str, at: int, arguments: list[Expr]) -> Expr:
        if name == "has" and len(arguments) == 1:
            (only,) = arguments
            if isinstance(only, Select) and not only.test:
                return Select(at, only.operand, only.field, test=True, optional=only.optional)
            self.source.report(only.at, "invalid argument to has() macro")
        return Call(at, name, arguments)

    def member_call(self, target: Expr, name: str, at: int, arguments: list[Expr]) -> Expr:
        shape = _MACROS.get((name, len(arguments)))
        if shape is None:
            return Call(at, name, arguments, target)
        kind, variable_count = shape
        names = [self.variable(one, kind, variable_count) for one in arguments[:variable_count]]
        if len(set(names)) < len(names):
            self.source.report(arguments[1].at, f"duplicate variable name: {names[1]}")
        rest = arguments[variable_count:]
        if kind == "sortBy" and not isinstance(target, Ident | Select | Call | ListOf | Comprehension):
            kinds = "a list, identifier, comprehension, call or select expression"
            self.source.report(target.at, f"sortBy can only be applied to {kinds}")
        if kind in ("optMap", "optFlatMap", "sortBy"):
            return Bind(at, kind, names[0], target, rest[0])
        return Comprehension(at, kind, target, names, rest[0] if len(rest) == 2 else None, rest[-1], at)

    def variable(self, one: Expr, kind: str, variable_count: int) -> str:
        if isinstance(one, Ident) and not one.name.startswith("."):
            if one.name in ("__result__", "@result"):
                self.source.report(one.at, "iteration variable overwrites accumulator variable")
            return one.name
        if kind.startswith("opt"):
            text = f"{kind}() variable name must be a simple identifier"
        else:
            simple = kind not in ("map", "filter", "sortBy")
            text = "argument must be a simple name" if simple else "argument is not an identifier"
        self.source.report(one.at, text)
        return "@none"


# (name, how many arguments) -> (what it does, how many of the arguments are names)
_MACROS: dict[tuple[str, int], tuple[str, int]] = {
    ("all", 2): ("all", 1),
    ("exists", 2): ("exists", 1),
    ("exists_one", 2): ("exists_one", 1),
    ("map", 2): ("map", 1),
    ("map", 3): ("map", 1),
    ("filter", 2): ("filter", 1),
    ("all", 3): ("all", 2),
    ("exists", 3): ("exists", 2),
    ("exists_one", 3): ("exists_one", 2),
    ("existsOne", 3): ("exists_one", 2),
    ("transformList", 3): ("transformList", 2),
    ("transformList", 4): ("transformList", 2),
    ("transformMap", 3): ("transformMap", 2),
    ("transformMap", 4): ("transformMap", 2),
    ("transformMapEntry", 3): ("transformMapEntry", 2),
    ("transformMapEntry", 4): ("transformMapEntry", 2),
    ("optMap", 2): ("optMap", 1),
    ("optFlatMap", 2): ("optFlatMap", 1),
    ("sortBy", 2): ("sortBy", 1),
}

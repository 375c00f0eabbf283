"""What the rules of one definition may cost together, and each of them.

Follows pkg/apis/apiextensions/validation/{validation,cel_validation}.go of k8s.io/apiextensions-apiserver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ledger.apimachinery.field import FieldError, forbidden
from ledger.apimachinery.resource import Schema
from ledger.scheme.cel.cost.interval import MAX

RULE_MAX = 10_000_000
DEFINITION_MAX = 100_000_000
TOLD_MAX = 4  # of the rules that cost most
_ADVICE = (
    "try simplifying the rule, or adding maxItems, maxProperties, and maxLength"
    " where arrays, maps, and strings are declared"
)


@dataclass(slots=True)
class Budget:
    """`any_cost`: single rules are not held to their limit; their sum is all the same."""

    any_cost: bool = False
    spent: int = 0
    dearest: list[tuple[int, str]] = field(default_factory=list)  # cost and path, dearest first

    def spend(self, cost: int, path: str, what: str) -> Iterator[FieldError]:
        """`what`: rule or messageExpression."""
        self.spent = min(MAX, self.spent + cost)
        if cost >= DEFINITION_MAX // 100:
            self.dearest = sorted([*self.dearest, (cost, path)], key=lambda one: -one[0])[:TOLD_MAX]
        if cost > RULE_MAX and not self.any_cost:
            yield forbidden(path, _exceeds(f"estimated {what} cost", cost, RULE_MAX))

    def excess(self, path: str) -> list[FieldError]:
        """What to say of a schema whose rules together cost too much."""
        if self.spent <= DEFINITION_MAX:
            return []
        why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        whole = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        told = [forbidden(dear, why) for _, dear in self.dearest]
        return [*told, forbidden(path, _exceeds(whole, self.spent, DEFINITION_MAX))]


def _exceeds(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} ({_ADVICE})"


def contained(schema: Schema, times: int | None) -> int | None:
    """How often what a schema contains can occur, where the schema itself occurs so often; None: without bound."""
    bound: int | None = 1
    if schema.get("type") == "array":
        bound = schema.get("maxItems")
    elif schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        bound = schema.get("maxProperties")
    return None if times is None or bound is None else min(MAX, times * max(0, bound))

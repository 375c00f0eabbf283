"""Ranges of sizes and costs: the least and the most, in unsigned 64 bits that stay at their end instead of overflowing."""

from __future__ import annotations

import math
from typing import NamedTuple

MAX = (1 << 64) - 1


class Interval(NamedTuple):
    """From `least` to `most`, both included (SizeEstimate and CostEstimate of cel-go/checker/cost.go)."""

    least: int
    most: int

    def plus(self, other: Interval) -> Interval:
        return Interval(min(MAX, self.least + other.least), min(MAX, self.most + other.most))

    def times(self, other: Interval) -> Interval:
        return Interval(min(MAX, self.least * other.least), min(MAX, self.most * other.most))

    def scaled(self, factor: float) -> Interval:
        """Times a factor, each end rounded up."""
        return Interval(_scaled(self.least, factor), _scaled(self.most, factor))

    def union(self, other: Interval) -> Interval:
        return Interval(min(self.least, other.least), max(self.most, other.most))


def _scaled(count: int, factor: float) -> int:
    product = float(count) * factor
    return MAX if product >= 2.0**64 else math.ceil(product)


def exactly(count: int) -> Interval:
    return Interval(count, count)


NOTHING, ONE, UNKNOWN = exactly(0), exactly(1), Interval(0, MAX)
EMPTY = Interval(MAX, 0)  # the union of none


def total(costs: list[Interval]) -> Interval:
    found = NOTHING
    for cost in costs:
        found = found.plus(cost)
    return found

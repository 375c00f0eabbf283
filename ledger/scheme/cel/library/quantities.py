"""Quantities: `quantity('1.5Gi').isGreaterThan(...)` (library/quantity.go of k8s.io/apiserver)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.apimachinery import quantity
from ledger.apimachinery.quantity import Quantity, QuantityError
from ledger.scheme.cel.functions import overload, overloads
from ledger.scheme.cel.syntax import CelError
from ledger.scheme.cel.types import Type
from ledger.scheme.cel.values import INT_MAX, INT_MIN


@dataclass(frozen=True, slots=True)
class Amount:
    quantity: Quantity

    cel_type = Type("kubernetes.Quantity")


def parse(text: str) -> Amount:
    try:
        return Amount(quantity.parse(text))
    except QuantityError as error:
        raise CelError(str(error)) from None


def is_quantity(text: str) -> bool:
    try:
        quantity.parse(text)
    except QuantityError:
        return False
    return True


def sign(one: Amount) -> int:
    return one.quantity.compare(quantity.of(0))


def is_integer(one: Amount) -> bool:
    value = one.quantity.value()
    return INT_MIN <= value <= INT_MAX and one.quantity == quantity.of(value)


def as_integer(one: Amount) -> int:
    if not is_integer(one):
        raise CelError("cannot convert value to integer")
    return one.quantity.value()


OVERLOADS = [
    overload("quantity(string): kubernetes.Quantity", parse),
    overload("isQuantity(string): bool", is_quantity),
    overload("sign(kubernetes.Quantity): int", sign),
    overload(
        "kubernetes.Quantity.isGreaterThan(kubernetes.Quantity): bool",
        lambda one, other: one.quantity.compare(other.quantity) > 0,
    ),
    overload(
        "kubernetes.Quantity.isLessThan(kubernetes.Quantity): bool",
        lambda one, other: one.quantity.compare(other.quantity) < 0,
    ),
    overload(
        "kubernetes.Quantity.compareTo(kubernetes.Quantity): int",
        lambda one, other: one.quantity.compare(other.quantity),
    ),
    overload("kubernetes.Quantity.asApproximateFloat(): double", lambda one: one.quantity.as_float()),
    overload("kubernetes.Quantity.asInteger(): int", as_integer),
    overload("kubernetes.Quantity.isInteger(): bool", is_integer),
    *overloads(
        lambda one, other: Amount(one.quantity + _amount(other)),
        "kubernetes.Quantity.add(kubernetes.Quantity): kubernetes.Quantity",
        "kubernetes.Quantity.add(int): kubernetes.Quantity",
    ),
    *overloads(
        lambda one, other: Amount(one.quantity - _amount(other)),
        "kubernetes.Quantity.sub(kubernetes.Quantity): kubernetes.Quantity",
        "kubernetes.Quantity.sub(int): kubernetes.Quantity",
    ),
]


def _amount(one: Amount | int) -> Quantity:
    return one.quantity if isinstance(one, Amount) else quantity.of(one)

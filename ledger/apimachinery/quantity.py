"""Amounts such as "500m" or "1Gi": parsing, canonical text, arithmetic (resource.Quantity of k8s.io/apimachinery).

A quantity is `unscaled * 10**scale` with the format it was written in. Canonical text loses no precision, has no
fraction and the largest suffix that fits: "1.5" is "1500m", "1024Ki" is "1Mi". Text that upstream's fast path takes as
canonical is kept as it was written ("1.500", "1e3"), because clients get exactly that back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import total_ordering

from ledger.apimachinery.remember import remembered

DECIMAL_EXPONENT, BINARY_SI, DECIMAL_SI = "DecimalExponent", "BinarySI", "DecimalSI"

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = {exponent: suffix for suffix, exponent in _BINARY.items()} | {0: ""}
_INT64_MAX = 2**63 - 1
_NANO = -9
_FAST_DIGITS = 18  # what upstream's int64 path can hold for sure

FORMAT_WRONG = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"  # ErrFormatWrong
)
NUMERIC_WRONG = "unable to parse numeric part of quantity"  # ErrNumeric
SUFFIX_WRONG = "unable to parse quantity's suffix"  # ErrSuffix


class QuantityError(ValueError):
    """The text is no quantity; the message is upstream's."""


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """An exact amount; compares by value, whatever the format."""

    unscaled: int = 0
    scale: int = 0  # power of ten
    format: str = DECIMAL_SI
    text: str = ""  # canonical text where it is known already

    def __str__(self) -> str:
        return self.text or _canonical_text(self)

    def __add__(self, other: Quantity) -> Quantity:
        """The sum, in this format unless this is zero."""
        low = min(self.scale, other.scale)
        total = self._at(low) + other._at(low)
        return Quantity(total, low, self.format if self.unscaled else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return self + -other

    def __neg__(self) -> Quantity:
        return Quantity(-self.unscaled, self.scale, self.format)

    def __mul__(self, factor: int) -> Quantity:
        return Quantity(self.unscaled * factor, self.scale, self.format)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.compare(other) == 0

    def __lt__(self, other: Quantity) -> bool:
        return self.compare(other) < 0

    def __hash__(self) -> int:
        unscaled, scale = _without_factors(self.unscaled, self.scale, 10)
        return hash((unscaled, scale if unscaled else 0))

    def __bool__(self) -> bool:
        return self.unscaled != 0

    def compare(self, other: Quantity) -> int:
        """-1, 0 or 1."""
        left, right = self._magnitude(), other._magnitude()
        if left != right:
            return -1 if left < right else 1
        low = min(self.scale, other.scale)
        a, b = self._at(low), other._at(low)
        return (a > b) - (a < b)

    def value(self, scale: int = 0) -> int:
        """The amount in units of 10**scale (-3: milli), rounded away from zero."""
        if self.scale >= scale:
            return self._at(scale)
        return _divide_up(self.unscaled, scale - self.scale)

    def rounded_up(self, scale: int) -> Quantity:
        """Without digits below 10**scale (-3: milli), rounded away from zero."""
        if self.scale >= scale:
            return self
        return Quantity(self.value(scale), scale, self.format)

    def as_float(self) -> float:
        return float(f"{self.unscaled}e{self.scale}")

    def _at(self, scale: int) -> int:
        return self.unscaled * 10 ** (self.scale - scale)

    def _magnitude(self) -> tuple[int, int]:
        """Sign and position of the first digit: enough to order amounts whose sizes differ, "1e1000000" included."""
        if not self.unscaled:
            return 0, 0
        digits = len(str(abs(self.unscaled))) + self.scale
        return (1, digits) if self.unscaled > 0 else (-1, -digits)


@remembered(8192)
def parse(text: str) -> Quantity:
    """The quantity written as `text`; raises QuantityError."""
    if not text:
        raise QuantityError(FORMAT_WRONG)
    if text == "0":
        return Quantity(text="0")
    negative, whole, fraction, suffix = _split(text)
    base, exponent, format = _interpret(suffix)
    fast = _parse_fast(text, negative, whole, fraction, exponent, format)
    if fast is not None:
        return fast
    return _parse_slow(negative, whole, fraction, base, exponent, format)


def canonical(text: str) -> str:
    """`text` as a quantity prints it; raises QuantityError."""
    return str(parse(text))


@remembered(8192)
def canonical_milli(text: str) -> str:
    """`text` as a quantity rounded up to thousandths prints it; raises QuantityError."""
    return str(parse(text).rounded_up(-3))


def of(amount: int, scale: int = 0, format: str = DECIMAL_SI) -> Quantity:
    """`amount * 10**scale`."""
    return Quantity(amount, scale, format)


def _split(text: str) -> tuple[bool, str, str, str]:
    """(negative, digits before the point, digits after it, suffix), scanned as parseQuantityString scans."""
    at = 1 if text[0] in "+-" else 0
    while at < len(text) and text[at] == "0":
        at += 1
    start = at
    while at < len(text) and "0" <= text[at] <= "9":
        at += 1
    whole, fraction = text[start:at] or "0", ""
    if at < len(text) and text[at] == ".":
        start = at = at + 1
        while at < len(text) and "0" <= text[at] <= "9":
            at += 1
        fraction = text[start:at]
    suffix_start = at
    while at < len(text) and text[at] in "eEinumkKMGTP":
        at += 1
    if at < len(text) and text[at] in "+-":
        at += 1
    while at < len(text) and "0" <= text[at] <= "9":
        at += 1
    if at < len(text):
        raise QuantityError(FORMAT_WRONG)
    return text[0] == "-", whole, fraction, text[suffix_start:]


def _interpret(suffix: str) -> tuple[int, int, str]:
    """(base, exponent, format) of a suffix."""
    if suffix in _DECIMAL:
        return 10, _DECIMAL[suffix], DECIMAL_SI
    if suffix in _BINARY:
        return 2, _BINARY[suffix], BINARY_SI
    digits = suffix[2:] if suffix[1:2] in ("+", "-") else suffix[1:]
    if suffix[:1] in ("e", "E") and digits.isdigit() and -(2**63) <= int(suffix[1:]) < 2**63:
        return 10, (int(suffix[1:]) + 2**31) % 2**32 - 2**31, DECIMAL_EXPONENT
    raise QuantityError(SUFFIX_WRONG)


def _parse_fast(text: str, negative: bool, whole: str, fraction: str, exponent: int, format: str) -> Quantity | None:
    """Upstream's int64 path, the one that keeps text; None where upstream needs big decimals."""
    mantissa, scale = 1, 0
    if format == BINARY_SI:
        if fraction:
            return None
        mantissa = 1 << exponent
        precision = 15 - len(whole) - int(exponent * 3 / 10) - 1
    else:
        scale = exponent
        precision = _FAST_DIGITS - len(whole) - len(fraction)
    scale -= len(fraction)
    if precision < 0 or scale < _NANO:
        return None
    digits = whole + fraction
    value = int(digits)
    result = -value * mantissa if negative else value * mantissa
    if abs(result) > _INT64_MAX:
        return None
    if format == BINARY_SI:
        keep = value & 7 != 0
    else:
        keep = scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"
    return Quantity(result, scale, format, text if keep else "")


def _parse_slow(negative: bool, whole: str, fraction: str, base: int, exponent: int, format: str) -> Quantity:
    """Any size: rounded up to nano, capped at 2**63-1 where the suffix is binary."""
    unscaled, scale = int(whole + fraction), -len(fraction)
    if base == 10:
        scale += exponent
    else:
        unscaled <<= exponent
    if unscaled and scale < _NANO:
        unscaled, scale = _divide_up(unscaled, _NANO - scale), _NANO
    amount = Quantity(unscaled, scale, format)
    if format == BINARY_SI and amount > Quantity(_INT64_MAX):
        amount = Quantity(_INT64_MAX, 0, format)
    if format == BINARY_SI and Quantity() < amount < Quantity(1):
        amount = Quantity(amount.unscaled, amount.scale, DECIMAL_SI)
    return -amount if negative else amount


def _divide_up(value: int, places: int) -> int:
    """value / 10**places, rounded away from zero."""
    if places > len(str(abs(value))):
        return (value > 0) - (value < 0)
    quotient = -(-abs(value) // 10**places)
    return quotient if value >= 0 else -quotient


def _canonical_text(amount: Quantity) -> str:
    if not amount.unscaled:
        return "0"
    if amount.format == BINARY_SI and abs(amount.unscaled) * 10 ** max(amount.scale, -30) >= 1024:
        unscaled, scale = _without_factors(amount.unscaled, amount.scale, 10)
        if scale >= 0:
            number, times = _without_factors(unscaled * 10**scale, 0, 1024)
            return f"{number}{_BINARY_SUFFIX.get(times * 10, '')}"
    unscaled, scale = _without_factors(amount.unscaled, amount.scale, 10)
    unscaled, scale = unscaled * 10 ** (scale % 3), scale - scale % 3
    if amount.format == DECIMAL_EXPONENT:
        return f"{unscaled}e{scale}" if scale else str(unscaled)
    return f"{unscaled}{_DECIMAL_SUFFIX.get(scale, '')}"  # beyond "E" upstream prints no suffix at all


def _without_factors(unscaled: int, scale: int, base: int) -> tuple[int, int]:
    """The same amount with all factors of `base` moved into the exponent."""
    while unscaled and unscaled % base == 0:
        unscaled //= base
        scale += 1
    return unscaled, scale

"""What calls of functions cost, beside their arguments, and how large what they give is.

Each estimator gets the call with the sizes of its parts. Sources: EstimateCallCost of k8s.io/apiserver/pkg/cel/library,
functionCost of cel-go/checker, and the estimators of cel-go/ext.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ledger.scheme.cel.cost.interval import MAX, NOTHING, ONE, UNKNOWN, Interval, exactly
from ledger.scheme.cel.syntax import Expr, Literal
from ledger.scheme.cel.types import Type

TRAVERSAL = 0.1  # of a text, for each character
REGEX = 0.25  # for each character of a pattern
LIST, MAP, MESSAGE = exactly(10), exactly(30), exactly(40)  # to make one
FORMAT_REGEX_BYTES_MAX = 128
FORMAT_BYTES_MAX = 64


@dataclass(frozen=True, slots=True)
class Part:
    """The target or an argument of a call."""

    expression: Expr
    type: Type
    size: Interval
    element: Interval | None = None  # the size of a list's elements, where something is known of it
    element_type: Type | None = None


@dataclass(frozen=True, slots=True)
class Sized:
    """A call as estimators see it: one meaning of the function, by the types that it takes."""

    function: str
    member: bool
    takes: tuple[str, ...]
    target: Part | None
    arguments: list[Part]


@dataclass(frozen=True, slots=True)
class Estimate:
    cost: Interval
    size: Interval | None = None  # of what it gives


Estimator = Callable[[Sized], Estimate | None]  # None: as any other function


def call_estimate(call: Sized) -> Estimate:
    """The cost of a call without its arguments; 1 where nothing is known of the function."""
    for table in (_EXTENSIONS, _KUBERNETES, _STANDARD):
        estimator = table.get(call.function)
        if estimator is not None and (found := estimator(call)) is not None:
            return found
    return Estimate(ONE)


def _fixed(cost: int) -> Estimator:
    return lambda call: Estimate(exactly(cost))


def _of_target(factor: float) -> Estimator:
    """Once through the text it is called on; what it gives is as long."""
    return lambda call: Estimate(call.target.size.scaled(factor), call.target.size) if call.target else None


def _of_argument(factor: float, sized: bool = False) -> Estimator:
    def estimate(call: Sized) -> Estimate | None:
        if not call.arguments:
            return None
        size = call.arguments[0].size
        return Estimate(size.scaled(factor), size if sized else None)

    return estimate


# --- Kubernetes' functions -------------------------------------------------------------------------------------------
def _selector(call: Sized) -> Estimate | None:
    if len(call.arguments) != 1:
        return None
    size = call.arguments[0].size
    requirements = size.scaled(0.5).scaled(LIST.most + MESSAGE.most)
    return Estimate(LIST.plus(size.scaled(TRAVERSAL)).plus(requirements))


def _of_elements(call: Sized) -> Estimate | None:
    """Each element is compared once; texts cost as much as they are long."""
    if call.target is None:
        return None
    target, each = call.target, ONE
    if target.element_type is None:
        return Estimate(target.size.times(ONE) if call.function == "includes" else target.size.scaled(TRAVERSAL))
    if target.element_type.name in ("string", "bytes"):
        each = each.plus((target.element or Interval(0, MAX)).scaled(TRAVERSAL))
    return Estimate(target.size.times(each))


def _replace(call: Sized) -> Estimate | None:
    if call.target is None or len(call.arguments) < 2:
        return None
    size, old, new = call.target.size, call.arguments[0].size, call.arguments[1].size
    most_count, most_kept = _replaced(size.most, old.least, new.most <= old.least)
    least_count, least_kept = _replaced(size.least, old.most, old.most <= new.least)
    given = Interval(least_count, most_count).times(new).plus(Interval(least_kept, most_kept))
    return Estimate(size.scaled(2 * TRAVERSAL), given)


def _replaced(length: int, old: int, keeps_length: bool) -> tuple[int, int]:
    """How many replacements there are, and how many characters are kept."""
    if old == 0:
        return min(MAX, length + 1), length
    if keeps_length:
        return 0, length
    return min(MAX, math.ceil(float(length) / float(old))), 0


def _split(call: Sized) -> Estimate | None:
    if call.target is None:
        return None
    most = call.target.size.most
    limit = _number(call.arguments[1].expression) if len(call.arguments) > 1 else None
    return Estimate(call.target.size.scaled(2 * TRAVERSAL), Interval(0, most if limit is None else limit % (1 << 64)))


def _number(one: Expr) -> int | None:
    whole = isinstance(one, Literal) and isinstance(one.value, int) and not isinstance(one.value, bool)
    return int(one.value) if isinstance(one, Literal) and whole else None


def _join(call: Sized) -> Estimate | None:
    if call.target is None:
        return None
    count, size = call.target.size, NOTHING
    if call.target.element_type is not None:
        size = count.times(call.target.element or Interval(0, MAX))
    if call.arguments:
        separators = Interval(max(0, count.least - 1), max(0, count.most - 1))
        size = size.plus(call.arguments[0].size.times(separators))
    return Estimate(size.scaled(TRAVERSAL), size)


def _find(call: Sized) -> Estimate | None:
    if call.target is None or not call.arguments:
        return None
    text = call.target.size.plus(ONE).scaled(TRAVERSAL)
    return Estimate(text.times(call.arguments[0].size.scaled(REGEX)), Interval(0, call.target.size.most))


def _ip(call: Sized) -> Estimate | None:
    if call.member:  # of a CIDR
        return Estimate(ONE)
    return _of_argument(TRAVERSAL)(call)


def _contains_address(whole: bool) -> Estimator:
    def estimate(call: Sized) -> Estimate | None:
        if not call.arguments:
            return None
        address = Interval(4, 16)
        cost = address.plus(address).scaled(TRAVERSAL)
        if whole:
            cost = cost.plus(address.scaled(TRAVERSAL)).plus(ONE)
        if call.takes[-1] == "string":
            cost = cost.plus(call.arguments[0].size.scaled(TRAVERSAL))
        return Estimate(cost)

    return estimate


def _validate(call: Sized) -> Estimate | None:
    if not call.arguments:
        return None
    return Estimate(call.arguments[0].size.scaled(TRAVERSAL).scaled(FORMAT_REGEX_BYTES_MAX * REGEX))


_CONSTANT_EQUALITY = frozenset({"net.IP", "net.CIDR", "kubernetes.Quantity", "kubernetes.Semver"})


def _same_object(call: Sized) -> Estimate | None:
    """Values of Kubernetes' own types are compared at a price that does not depend on them."""
    if len(call.arguments) != 2 or call.arguments[0].type != call.arguments[1].type:
        return None
    name = call.arguments[0].type.name
    if name in _CONSTANT_EQUALITY or name.startswith("kubernetes.authorization."):
        return Estimate(ONE)
    if name == "kubernetes.URL":
        size = call.arguments[1].size
        return Estimate(Interval(1, 1 if size == UNKNOWN else size.most).scaled(TRAVERSAL))
    if name == "kubernetes.NamedFormat":
        return Estimate(Interval(1, FORMAT_BYTES_MAX).scaled(TRAVERSAL))
    return None


_NOMINAL = (
    "serviceAccount path group resource subresource namespace name allowed reason error errored masked prefixLength family"
    " isUnspecified isLoopback isLinkLocalMulticast isLinkLocalUnicast isGlobalUnicast format.named sign asInteger isInteger"
    " asApproximateFloat isGreaterThan isLessThan compareTo add sub major minor patch getScheme getHostname getHost getPort"
    " getEscapedPath getQuery"
)
_KUBERNETES: dict[str, Estimator] = {
    "check": _fixed(350_000),
    **dict.fromkeys(_NOMINAL.split(), _fixed(1)),
    **dict.fromkeys(("fieldSelector", "labelSelector"), _selector),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf", "includes"), _of_elements),
    **dict.fromkeys(("url", "jsonpatch.escapeKey"), _of_argument(TRAVERSAL, sized=True)),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _of_target(TRAVERSAL)),
    "replace": _replace,
    "split": _split,
    "join": _join,
    **dict.fromkeys(("find", "findAll"), _find),
    **dict.fromkeys(
        ("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _of_argument(TRAVERSAL)
    ),
    "ip": _ip,
    "ip.isCanonical": _of_argument(2 * TRAVERSAL),
    "containsIP": _contains_address(whole=False),
    "containsCIDR": _contains_address(whole=True),
    "validate": _validate,
    "_==_": _same_object,
}


# --- the language's own functions ------------------------------------------------------------------------------------
def _text_compare(call: Sized) -> Estimate | None:
    """Texts, lists and maps are compared up to the end of the shorter."""
    if call.function not in ("_==_", "_!=_") and call.takes[0] not in ("string", "bytes"):
        return None
    shorter = min(one.size.most for one in call.arguments)
    return Estimate(Interval(1 if shorter else 0, shorter).scaled(TRAVERSAL))


def _add(call: Sized) -> Estimate | None:
    if call.takes[0] not in ("string", "bytes", "list"):
        return None
    size = call.arguments[0].size.plus(call.arguments[1].size)
    return Estimate(ONE if call.takes[0] == "list" else size.scaled(TRAVERSAL), size)


def _in(call: Sized) -> Estimate | None:
    return Estimate(call.arguments[1].size) if call.takes[1] == "list" else None


def _matches(call: Sized) -> Estimate | None:
    text, pattern = (call.target, call.arguments[0]) if call.target else (call.arguments[0], call.arguments[1])
    return Estimate(text.size.plus(ONE).scaled(TRAVERSAL).times(pattern.size.scaled(REGEX)))


def _contains(call: Sized) -> Estimate | None:
    if call.target is None:
        return None
    return Estimate(call.target.size.scaled(TRAVERSAL).times(call.arguments[0].size.scaled(TRAVERSAL)))


def _bytes(call: Sized) -> Estimate | None:
    if call.takes != ("string",):
        return None
    size = call.arguments[0].size
    return Estimate(size.scaled(TRAVERSAL), Interval(size.least, size.most * 4 & MAX))


def _string(call: Sized) -> Estimate | None:
    if call.takes != ("bytes",):
        return None
    size = call.arguments[0].size
    return Estimate(size.scaled(TRAVERSAL), Interval(size.least // 4, size.most))


def _quote(call: Sized) -> Estimate | None:
    size = call.arguments[0].size
    return Estimate(size.scaled(TRAVERSAL), Interval(size.least + 2 & MAX, size.most * 2 + 2 & MAX))


def _format(call: Sized) -> Estimate | None:
    return Estimate(call.target.size.scaled(TRAVERSAL)) if call.target else None


_STANDARD: dict[str, Estimator] = {
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), _text_compare),
    "_+_": _add,
    "@in": _in,
    "matches": _matches,
    "contains": _contains,
    **dict.fromkeys(("startsWith", "endsWith"), _of_argument(TRAVERSAL)),
    "bytes": _bytes,
    "string": _string,
    "strings.quote": _quote,
    "format": _format,
}


# --- lists and sets --------------------------------------------------------------------------------------------------
def _list_made(factor: float, size: Interval) -> Estimate:
    return Estimate(size.scaled(factor).plus(ONE).plus(LIST), size)


def _slice(call: Sized) -> Estimate | None:
    if call.target is None or len(call.arguments) != 2:
        return None
    begin, end = (_number(one.expression) for one in call.arguments)
    return _list_made(1, exactly(((call.target.size.most if end is None else end) - (begin or 0)) & MAX))


def _range(call: Sized) -> Estimate | None:
    count = _number(call.arguments[0].expression) if call.arguments else None
    return _list_made(1, exactly(MAX if count is None else count & MAX))


def _reverse(call: Sized) -> Estimate | None:
    return _list_made(1, call.target.size) if call.target and call.takes[0] == "list" else None


def _flatten(call: Sized) -> Estimate | None:
    if call.target is None:
        return None
    depth = _number(call.arguments[0].expression) if call.arguments else 1
    return _list_made(float(MAX if depth is None else depth & MAX), call.target.size)


def _distinct(call: Sized) -> Estimate | None:
    return _list_made(2, call.target.size.times(call.target.size)) if call.target else None


def _sort(call: Sized) -> Estimate | None:
    part = call.arguments[0] if call.arguments else call.target
    if part is None:
        return None
    factor = 2.0 + (TRAVERSAL if part.element_type and part.element_type.name in ("string", "bytes") else 0)
    return _list_made(factor, part.size.times(part.size))


def _sets(factor: float) -> Estimator:
    def estimate(call: Sized) -> Estimate | None:
        if len(call.arguments) != 2:
            return None
        return Estimate(call.arguments[0].size.times(call.arguments[1].size).scaled(factor).plus(ONE))

    return estimate


_EXTENSIONS: dict[str, Estimator] = {
    "slice": _slice,
    "lists.range": _range,
    "reverse": _reverse,
    "flatten": _flatten,
    "distinct": _distinct,
    **dict.fromkeys(("sort", "@sortByAssociatedKeys"), _sort),
    **dict.fromkeys(("sets.contains", "sets.intersects"), _sets(1)),
    "sets.equivalent": _sets(2),
}

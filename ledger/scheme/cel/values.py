"""Values of CEL that Python does not have, and what is said of all values: their type, equality, order, sizes.

A CEL value is None, bool, int, Uint, float, str, bytes, list, dict, Duration, Timestamp, Optional, a Type, or one of the
opaque values of the libraries, which know their `cel_type`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ledger.scheme.cel import types
from ledger.scheme.cel.syntax import CelError
from ledger.scheme.cel.types import Type

INT_MIN, INT_MAX, UINT_MAX = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1
SECOND = 1_000_000_000
# Year 1 to 9999, in seconds since 1970.
TIMESTAMP_MIN, TIMESTAMP_MAX = -62135596800, 253402300799


class Uint(int):
    """An unsigned number."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    nanos: int

    cel_type = types.DURATION


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    nanos: int  # since 1970, UTC

    cel_type = types.TIMESTAMP


@dataclass(frozen=True, slots=True)
class Optional:
    """optional.of(value), or optional.none() where there is none."""

    present: bool
    value: Any = None

    cel_type = types.optional_of(types.DYN)


class MessageValue(dict[str, Any]):
    """A message an expression made: `Object.spec{replicas: 1}`. It remembers its name."""

    __slots__ = ("name",)

    def __init__(self, name: str, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self.name = name


class GroupedList(list[Any]):
    """A list whose order means nothing: a set, or a map by some key of its elements."""

    __slots__ = ("_key",)

    cel_type = types.list_of(types.DYN)

    def __init__(self, elements: Iterable[Any], key: Callable[[Any], Any]) -> None:
        super().__init__(elements)
        self._key = key

    def equals(self, other: Any) -> bool:
        """The same elements in any order."""
        if not isinstance(other, list) or len(self) != len(other):
            return False
        mine, theirs = ({self._key(one): one for one in many} for many in (self, other))
        return mine.keys() == theirs.keys() and all(equal(one, theirs[key]) for key, one in mine.items())

    def plus(self, other: list[Any]) -> GroupedList:
        """Elements of the other list take the place of those with their key, or come after."""
        return GroupedList({self._key(one): one for one in (*self, *other)}.values(), self._key)


NOTHING = Optional(False)

_TYPES: dict[type, Type] = {
    bool: types.BOOL,
    int: types.INT,
    Uint: types.UINT,
    float: types.DOUBLE,
    str: types.STRING,
    bytes: types.BYTES,
    list: types.list_of(types.DYN),
    type(None): types.NULL,
}


def type_of(value: Any) -> Type:
    """The type of a value as far as the value itself says it."""
    known = _TYPES.get(type(value))
    if known is not None:
        return known
    if isinstance(value, Type):
        return types.type_of(value)
    if isinstance(value, MessageValue):
        return Type(value.name)
    if isinstance(value, Mapping):
        return types.map_of(types.DYN, types.DYN)
    found: Type = value.cel_type
    return found


def no_such_overload() -> CelError:
    return CelError("no such overload")


def conversion_error(value: Any, to: str) -> CelError:
    return CelError(f"type conversion error from '{type_of(value).name}' to '{to}'")


def checked_int(value: int) -> int:
    if not INT_MIN <= value <= INT_MAX:
        raise CelError("integer overflow")
    return value


def checked_uint(value: int) -> Uint:
    if not 0 <= value <= UINT_MAX:
        raise CelError("unsigned integer overflow")
    return Uint(value)


def checked_duration(nanos: int) -> Duration:
    if not INT_MIN <= nanos <= INT_MAX:
        raise CelError("duration overflow")
    return Duration(nanos)


def checked_timestamp(nanos: int) -> Timestamp:
    if not TIMESTAMP_MIN <= nanos // SECOND <= TIMESTAMP_MAX:
        raise CelError("timestamp overflow")
    return Timestamp(nanos)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(one: Any, other: Any) -> bool:
    """CEL's equality: numbers by value whatever their type, all else only with its own kind."""
    if is_number(one) and is_number(other):
        return bool(one == other)
    own = getattr(one, "equals", None)
    if own is not None:
        return bool(own(other))
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, Mapping):
        if not isinstance(other, Mapping) or len(one) != len(other):
            return False
        return all(key in other and equal(value, other[key]) for key, value in one.items())
    if isinstance(one, Optional):
        return (
            isinstance(other, Optional)
            and one.present == other.present
            and (not one.present or equal(one.value, other.value))
        )
    if isinstance(one, Type) and isinstance(other, Type):
        return one.name == other.name
    return type(one) is type(other) and bool(one == other)


def compare(one: Any, other: Any) -> int:
    """-1, 0 or 1. Raises CelError where there is no order between the two."""
    if is_number(one) and is_number(other):
        if math.isnan(one) or math.isnan(other):
            raise CelError("NaN values cannot be ordered")
    elif type(one) is not type(other) or not isinstance(one, bool | str | bytes | Duration | Timestamp):
        raise no_such_overload()
    return bool(one > other) - bool(one < other)


def contains(value: Any, collection: Any) -> bool:
    """The operator `in`."""
    if isinstance(collection, list):
        return any(equal(value, one) for one in collection)
    if isinstance(collection, Mapping):
        return find(collection, value) is not MISSING
    raise no_such_overload()


MISSING: Any = object()


def find(collection: Mapping[Any, Any], key: Any) -> Any:
    """What a map holds under the key, MISSING where it holds nothing. 1, 1u and 1.0 are the same key, true is not."""
    if isinstance(key, list | Mapping) or key is None:
        raise CelError(f"unsupported key type: {type_of(key).name}") if key is None else no_such_overload()
    if isinstance(key, bool) or (isinstance(key, int | float) and (1 in collection or 0 in collection)):
        for one, value in collection.items():
            if equal(one, key):
                return value
        return MISSING
    return collection.get(key, MISSING)


def index(collection: Any, key: Any) -> Any:
    """The operator `[]`."""
    if isinstance(collection, Mapping):
        value = find(collection, key)
        if value is MISSING:
            raise CelError(f"no such key: {plain_text(key)}")
        return value
    if not isinstance(collection, list):
        raise no_such_overload()
    if isinstance(key, float) and key.is_integer():
        key = int(key)
    if not isinstance(key, int) or isinstance(key, bool):
        raise CelError(f"unsupported index type '{type_of(key).name}' in list")
    if not 0 <= key < len(collection):
        raise CelError(f"index out of bounds: {key}")
    return collection[key]


def plain_text(value: Any) -> str:
    """A key as Go prints it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def escaped(name: str) -> str:
    """The name under which a property can be written in an expression (cel/escaping.go of k8s.io/apiserver)."""
    if name in RESERVED:
        return f"__{name}__"
    for plain, written in _ESCAPES:
        name = name.replace(plain, written)
    return name


_ESCAPES = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
RESERVED = frozenset(
    {
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    }
)

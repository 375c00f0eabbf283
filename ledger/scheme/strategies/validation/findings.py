"""Collecting field errors in the order they are found: a list that knows the common kinds of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from ledger.apimachinery import field
from ledger.apimachinery.field import FieldError, quoted
from ledger.apimachinery.names import Check
from ledger.scheme.strategies.equality import same


class Findings(list[FieldError]):
    """Field errors; each method adds at most one, or one for each complaint of a check."""

    _covered: Sequence[FieldError] = ()
    metadata_is_fine = False  # everything about metadata was looked at, and there was nothing to say
    metadata_update_is_fine = False  # the same, of what an update may change there

    def __init__(self, errors: Iterable[FieldError] = ()) -> None:
        super().__init__(errors)
        if isinstance(errors, Findings):
            self._covered = errors._covered
            self.metadata_is_fine = errors.metadata_is_fine
            self.metadata_update_is_fine = errors.metadata_update_is_fine

    def __iadd__(self, errors: Iterable[FieldError]) -> Self:  # type: ignore[override, misc]
        if errors:
            self.extend(errors)
        if isinstance(errors, Findings):
            if errors._covered:
                self._covered = [*self._covered, *errors._covered]
            self.metadata_is_fine |= errors.metadata_is_fine
            self.metadata_update_is_fine |= errors.metadata_update_is_fine
        return self

    def unless_declared(self, errors: Iterable[FieldError]) -> None:
        """Findings that a declared rule may have as well. Most such are left to that rule, without a word here; these
        are not, because their rule is not reached where one before it says something."""
        added = list(errors)
        self.extend(added)
        self._covered = [*self._covered, *added]

    def besides(self, declared: Iterable[FieldError]) -> Findings:
        """These, without the ones that declared rules have found as well."""
        if not self._covered:
            return self
        known = {_what(error) for error in declared}
        dropped = {id(error) for error in self._covered if _what(error) in known}
        return Findings(error for error in self if id(error) not in dropped)

    def required(self, path: str, detail: str = "") -> None:
        self.append(field.required(path, detail))

    def invalid(self, path: str, value: Any, detail: str) -> None:
        self.append(field.invalid(path, value, detail))

    def wrong(self, path: str, detail: str) -> None:
        """Invalid, without saying the value."""
        self.append(field.invalid(path, field.OMITTED, detail))

    def forbidden(self, path: str, detail: str) -> None:
        self.append(field.forbidden(path, detail))

    def duplicate(self, path: str, value: Any, detail: str = "") -> None:
        self.append(FieldError("Duplicate", path, value, detail))

    def not_found(self, path: str, value: Any, detail: str = "") -> None:
        self.append(FieldError("NotFound", path, value, detail))

    def too_long(self, path: str, limit: int) -> None:
        self.append(field.too_long(path, limit))

    def too_many(self, path: str, count: int, limit: int) -> None:
        self.append(field.too_many(path, count, limit))

    def not_supported(self, path: str, value: Any, values: Iterable[str]) -> None:
        """`values` in the order they are to be shown."""
        shown = ", ".join(quoted(one) for one in values)
        self.append(FieldError("NotSupported", path, value, f"supported values: {shown}" if shown else ""))

    def internal(self, path: str, detail: str) -> None:
        self.append(FieldError("Internal", path, detail=detail))

    def check(self, path: str, value: str, check: Check) -> None:
        """What `check` says of a string."""
        for text in check(value):
            self.invalid(path, value, text)

    def name(self, path: str, value: str, check: Check) -> None:
        """A string that must be there, and be right."""
        if value:
            self.check(path, value, check)
        else:
            self.required(path)

    def one_of(self, path: str, value: Any, values: Iterable[str]) -> None:
        """`values` in the order they are to be shown."""
        values = tuple(values)
        if value not in values:
            self.not_supported(path, value, values)

    def one_of_required(self, path: str, value: Any, values: Iterable[str]) -> None:
        if value:
            self.one_of(path, value, values)
        else:
            self.required(path)

    def not_negative(self, path: str, value: int | None) -> None:
        if value is not None and value < 0:
            self.invalid(path, value, "must be greater than or equal to 0")

    def positive(self, path: str, value: int | None) -> None:
        if value is not None and value <= 0:
            self.invalid(path, value, "must be greater than zero")

    def in_range(self, path: str, value: int, low: int, high: int) -> None:
        if not low <= value <= high:
            self.invalid(path, value, f"must be between {low} and {high}, inclusive")

    def immutable(self, path: str, new: Any, old: Any) -> None:
        if not same(new, old):
            self.invalid(path, new, "field is immutable")


def _what(error: FieldError) -> tuple[str, str, bool]:
    """What makes two findings the same one, however they put it."""
    return error.type, error.field, "immutable" in error.detail


Validate = Callable[..., list[FieldError]]

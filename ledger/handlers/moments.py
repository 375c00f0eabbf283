"""Moments in URLs: /at/890, /at/rv:890, /at/2026-11-22T14:03:00Z. Each is a revision whose state the request reads."""

from __future__ import annotations

from collections.abc import Callable

from ledger.apimachinery.http import Request
from ledger.apimachinery.status import StatusError, bad_request
from ledger.apimachinery.times import parse_rfc3339, rfc3339_micro
from ledger.projections.store import Store
from ledger.scheme.scheme import Scheme


class Moments:
    """Resolves moments against a store. `scheme_at` gives the kinds that existed at a revision."""

    def __init__(
        self,
        store: Store,
        scheme: Callable[[], Scheme],
        scheme_at: Callable[[int], Scheme],
        latest: Callable[[], Scheme] | None = None,
    ) -> None:
        self.store, self._scheme, self._scheme_at = store, scheme, scheme_at
        self.latest = latest or scheme  # the kinds as the store has them at this very moment

    def revision(self, request: Request) -> int | None:
        """The revision the request's path names, None for now. StatusError 400 (garbage), 404 (outside the log)."""
        info = request.info
        if info is None or not info.moment:
            return None
        return resolve(self.store, info.moment)

    def scheme_of(self, request: Request) -> Scheme:
        """The kinds that existed at the moment of a request. Raises as `revision`."""
        return self.scheme(self.revision(request))

    def scheme(self, revision: int | None) -> Scheme:
        return self._scheme() if revision is None else self._scheme_at(revision)


def resolve(store: Store, moment: str) -> int:
    """The revision that a moment means. A time means the last revision committed at or before it."""
    digits = moment.removeprefix("rv:")
    if digits.isascii() and digits.isdigit():
        return _within(store, int(digits))
    if moment.startswith("rv:"):
        raise bad_request(f'"{moment}" is not a moment: rv: is followed by a revision, as in rv:890')
    try:
        time = parse_rfc3339(moment)
    except ValueError:
        why = f'"{moment}" is not a moment: give a revision (890, rv:890) or an RFC 3339 time (2026-11-22T14:03:00Z)'
        raise bad_request(why) from None
    span = store.span()
    if span is None or not span[0] <= time:
        begins = f"it begins at {rfc3339_micro(span[0])}" if span else "it is empty"
        raise outside(f"{moment} is before the log: {begins}")
    return store.revision_at(time)


def _within(store: Store, revision: int) -> int:
    head = store.head()
    if revision > head:
        raise outside(f"revision {revision} is after the log's last one, {head}")
    if revision < 1:
        raise outside(f"revision {revision} is before the log: its revisions begin at 1")
    return revision


def outside(message: str) -> StatusError:
    return StatusError(404, "NotFound", message, {})

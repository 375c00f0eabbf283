"""The flags that say what a log keeps, for `ledger serve` and `ledger compact`."""

from __future__ import annotations

import argparse

from ledger.apimachinery import quantity
from ledger.apimachinery.resource import GroupResource
from ledger.cli.arguments import Parser, commas, duration_s
from ledger.projections.retention import Policy

DEFAULT_HISTORY = "leases.coordination.k8s.io=24h,events=24h"
FOREVER = "forever"
EVERY_OTHER = "*"


def add_retention_flags(parser: Parser) -> None:
    add = parser.add_argument
    add("--retain-history", type=_history, metavar="RESOURCE=TIME,...",
        help=f"how long past states are kept; * is every other resource ({DEFAULT_HISTORY})")  # fmt: skip
    add("--retain-requests", default=None, type=_age_us, metavar="TIME",
        help="how long events of requests that changed nothing are kept (forever)")  # fmt: skip
    add("--retain-events-bytes", default=None, type=_size, metavar="SIZE",
        help="beyond which the oldest of those go, such as 10Gi (no limit)")  # fmt: skip


def policy_of(given: argparse.Namespace) -> Policy:
    history = _history(DEFAULT_HISTORY) if given.retain_history is None else given.retain_history
    named = {resource: age for resource, age in history.items() if resource is not None and age is not None}
    forever = frozenset(resource for resource, age in history.items() if resource is not None and age is None)
    return Policy(named, history.get(None), given.retain_requests, given.retain_events_bytes, forever)


def is_chosen(given: argparse.Namespace) -> bool:
    """Whether any of the flags was given."""
    return (given.retain_history, given.retain_requests, given.retain_events_bytes) != (None, None, None)


def _history(text: str) -> dict[GroupResource | None, int | None]:
    """By resource (None: every other), in microseconds (None: for ever)."""
    found: dict[GroupResource | None, int | None] = {}
    for one in commas(text):
        name, equals, age = one.partition("=")
        if not (name and equals):
            raise argparse.ArgumentTypeError(f"{one!r} is not RESOURCE=TIME such as events=24h")
        resource, _, group = name.partition(".")
        found[None if name == EVERY_OTHER else GroupResource(group, resource)] = _age_us(age)
    return found


def _age_us(text: str) -> int | None:
    return None if text == FOREVER else round(duration_s(text) * 1_000_000)


def _size(text: str) -> int:
    try:
        size = quantity.parse(text).value()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 10Gi") from None
    if size < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is below 0")
    return size

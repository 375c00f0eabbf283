"""What a strategy may know beside the object: who asks, when, and through which version."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.apimachinery.http import User


@dataclass(slots=True)
class Context:
    """One write as the strategies see it. Not frozen: preparation may leave warnings."""

    user: User = field(default_factory=lambda: User(""))
    now: str = ""  # RFC 3339, whole seconds
    version: str = ""  # the API version of the request ("v1"), which is not always the one objects are stored in
    warnings: list[str] = field(
        default_factory=list
    )  # warnings that arise before validation; `warnings()` gives the rest

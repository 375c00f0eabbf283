"""API versions of the past that are still offered, made from today's: see add()."""

from __future__ import annotations

from typing import Any


def add(resources: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Puts the historical versions beside today's."""

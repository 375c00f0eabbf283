"""The containers of a pod, for all who look at each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def visit(spec: Mapping[str, Any], path: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Every container with its path: init, plain, ephemeral."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for at, one in enumerate(spec.get(key) or ()):
            yield one, f"{path}.{key}[{at}]"

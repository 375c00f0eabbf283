"""How checks look at a pod, and how they say what they found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ledger.apimachinery.resource import Object


class Violation(NamedTuple):
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


Check = Callable[[Object, Mapping[str, str]], Violation | None]  # pod spec, pod annotations


def containers(spec: Object) -> Iterator[Object]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(kind) or ()


def context_of(part: Object) -> dict[str, Any]:
    """The securityContext of a pod's spec or of a container."""
    context: dict[str, Any] = part.get("securityContext") or {}
    return context


def bad_containers(spec: Object, is_bad: Callable[[dict[str, Any]], bool]) -> list[str]:
    """Names of the containers whose securityContext is bad."""
    return [one["name"] for one in containers(spec) if is_bad(context_of(one))]


def plural(count: int, singular: str, many: str = "") -> str:
    return singular if count == 1 else many or f"{singular}s"


def quoted_list(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def named(names: Sequence[str], kind: str = "container") -> str:
    """`container "a"`, `containers "a", "b"`."""
    return f"{plural(len(names), kind)} {quoted_list(names)}"


def setters(pod_is_bad: bool, names: Sequence[str]) -> str:
    """`pod and container "a"`: who set something; "" when nobody did."""
    return " and ".join([*(["pod"] if pod_is_bad else []), *([named(names)] if names else [])])


def is_windows(spec: Object) -> bool:
    return (spec.get("os") or {}).get("name") == "windows"


def has_user_namespace(spec: Object) -> bool:
    return spec.get("hostUsers") is False

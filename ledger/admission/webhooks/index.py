"""The webhooks there are, in the order they are called, kept true by following the log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ledger.admission.followed import Followed
from ledger.apimachinery.resource import Key
from ledger.outbound.endpoint import Endpoint, endpoint_of

if TYPE_CHECKING:
    from ledger.admission.policies.evaluation import Compiled

MUTATING, VALIDATING = "mutatingwebhookconfigurations", "validatingwebhookconfigurations"
RESOURCES = (MUTATING, VALIDATING)


@dataclass
class Webhook:
    """One webhook of a configuration. `uid` tells it from others of the same name (CONFIGURATION/NAME/0)."""

    uid: str
    configuration: str
    name: str
    spec: dict[str, Any]

    @property
    def ignores_failures(self) -> bool:
        return self.spec.get("failurePolicy") == "Ignore"

    @property
    def timeout_s(self) -> float:
        return float(self.spec.get("timeoutSeconds") or 10)

    @cached_property
    def endpoint(self) -> Endpoint:
        """Raises outbound.endpoint.Misconfigured."""
        return endpoint_of(self.spec.get("clientConfig") or {})

    @cached_property
    def conditions(self) -> list[Compiled]:
        """Its matchConditions, compiled when they are first needed; CEL is not loaded before."""
        given = self.spec.get("matchConditions")
        if not given:
            return []
        from ledger.admission.policies.evaluation import Compiled
        from ledger.scheme.cel.admission import Scope

        return [Compiled(Scope(variables=None), one["expression"], "bool") for one in given]


class Webhooks(Followed):
    """Fill it with `load`, keep it true with `follow`."""

    resources = RESOURCES

    def __init__(self) -> None:
        self._configurations: dict[str, dict[str, list[Webhook]]] = {MUTATING: {}, VALIDATING: {}}
        self._ordered: dict[str, list[Webhook]] = {MUTATING: [], VALIDATING: []}

    def of(self, kind: str) -> list[Webhook]:
        """All webhooks of a kind (MUTATING or VALIDATING): configurations by name, each in its own order."""
        return self._ordered[kind]

    def _apply(self, key: Key, found: dict[str, Any] | None) -> None:
        kept = self._configurations[key.resource]
        if found is None:
            kept.pop(key.name, None)
        else:
            kept[key.name] = _webhooks(key.name, found.get("webhooks") or [])

    def _settle(self) -> None:
        for kind, configurations in self._configurations.items():
            self._ordered[kind] = [one for _, webhooks in sorted(configurations.items()) for one in webhooks]


def _webhooks(configuration: str, specs: Iterable[dict[str, Any]]) -> list[Webhook]:
    found = []
    seen: dict[str, int] = {}
    for spec in specs:
        name = spec["name"]
        count = seen[name] = seen.get(name, -1) + 1
        found.append(Webhook(f"{configuration}/{name}/{count}", configuration, name, spec))
    return found

"""The policies and bindings there are, each read and compiled once, kept true by following the log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ledger.admission.followed import Followed
from ledger.apimachinery.resource import Key

if TYPE_CHECKING:
    from ledger.admission.policies.evaluation import Evaluator

VALIDATING, MUTATING = "validatingadmissionpolicies", "mutatingadmissionpolicies"
_BINDINGS = {"validatingadmissionpolicybindings": VALIDATING, "mutatingadmissionpolicybindings": MUTATING}
RESOURCES = (VALIDATING, MUTATING, *_BINDINGS)


class EvaluationError(Exception):
    """An expression could not be evaluated; the text is what upstream tells the client."""


@dataclass(slots=True)
class Binding:
    name: str
    spec: dict[str, Any]


@dataclass(slots=True)
class Policy:
    """One policy with the bindings that name it, by name. Without any it does nothing."""

    name: str
    spec: dict[str, Any]
    bindings: list[Binding] = field(default_factory=list)
    _evaluator: Evaluator | None = None

    @property
    def evaluator(self) -> Evaluator:
        """Compiled when it is first needed; CEL is not loaded before."""
        if self._evaluator is None:
            from ledger.admission.policies.evaluation import Evaluator

            self._evaluator = Evaluator(self.spec)
        return self._evaluator

    @property
    def ignores_failures(self) -> bool:
        return self.spec.get("failurePolicy") == "Ignore"


class Policies(Followed):
    """Fill it with `load`, keep it true with `follow`."""

    resources = RESOURCES

    def __init__(self) -> None:
        self._policies: dict[str, dict[str, Policy]] = {VALIDATING: {}, MUTATING: {}}
        self._bindings: dict[str, dict[str, Binding]] = {VALIDATING: {}, MUTATING: {}}
        self._bound: dict[str, list[Policy]] = {VALIDATING: [], MUTATING: []}

    def bound(self, kind: str) -> list[Policy]:
        """The policies of a kind (VALIDATING or MUTATING) that have bindings, by name."""
        return self._bound[kind]

    def _apply(self, key: Key, found: dict[str, Any] | None) -> None:
        kind = _BINDINGS.get(key.resource)
        if found is None:
            kept: dict[str, Any] = self._policies[key.resource] if kind is None else self._bindings[kind]
            kept.pop(key.name, None)
        elif kind is None:
            known = self._policies[key.resource].get(key.name)
            if known is None or known.spec != found["spec"]:  # a changed status compiles nothing again
                self._policies[key.resource][key.name] = Policy(key.name, found["spec"])
        else:
            self._bindings[kind][key.name] = Binding(key.name, found["spec"])

    def _settle(self) -> None:
        for kind, policies in self._policies.items():
            for policy in policies.values():
                policy.bindings = []
            for _, binding in sorted(self._bindings[kind].items()):
                policy_named = policies.get(binding.spec.get("policyName", ""))
                if policy_named is not None:
                    policy_named.bindings.append(binding)
            self._bound[kind] = [policy for _, policy in sorted(policies.items()) if policy.bindings]

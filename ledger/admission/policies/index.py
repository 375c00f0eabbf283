"""The policies and bindings there are, each read and compiled once, kept true by following the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from ledger.apimachinery.resource import Key
from ledger.log.api import Entry

if TYPE_CHECKING:
    from ledger.admission.policies.evaluation import Evaluator

GROUP = "admissionregistration.k8s.io"
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


class Policies:
    """Fill it with `load`, keep it true with `follow`."""

    def __init__(self) -> None:
        self._policies: dict[str, dict[str, Policy]] = {VALIDATING: {}, MUTATING: {}}
        self._bindings: dict[str, dict[str, Binding]] = {VALIDATING: {}, MUTATING: {}}
        self._bound: dict[str, list[Policy]] = {VALIDATING: [], MUTATING: []}

    def bound(self, kind: str) -> list[Policy]:
        """The policies of a kind (VALIDATING or MUTATING) that have bindings, by name."""
        return self._bound[kind]

    def load(self, objects: Iterable[tuple[Key, dict[str, Any]]]) -> None:
        for key, found in objects:
            self._apply(key, found)
        self._bind()

    def follow(self, entries: Sequence[Entry]) -> None:
        """A log listener: takes in what commits did to policies and bindings."""
        touched = False
        for entry in entries:
            for change in entry.changes:
                if change.key.group == GROUP and change.key.resource in RESOURCES:
                    touched = True
                    self._apply(change.key, None if change.body is None else orjson.loads(change.body))
        if touched:
            self._bind()

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

    def _bind(self) -> None:
        for kind, policies in self._policies.items():
            for policy in policies.values():
                policy.bindings = []
            for _, binding in sorted(self._bindings[kind].items()):
                policy_named = policies.get(binding.spec.get("policyName", ""))
                if policy_named is not None:
                    policy_named.bindings.append(binding)
            self._bound[kind] = [policy for _, policy in sorted(policies.items()) if policy.bindings]

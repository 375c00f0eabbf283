"""RBAC: who may do what, by the Roles and bindings in the store.

All RBAC objects are kept in memory, indexed by subject, and follow the log commit by commit: a rule counts for the
first request after the answer to the write that made it. What a user may do, and what was decided about a request, is
remembered until any RBAC object changes. Follows plugin/pkg/auth/authorizer/rbac and pkg/registry/rbac/validation in
k8s.io/kubernetes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from ledger.apimachinery.field import quoted
from ledger.apimachinery.http import RequestInfo, User
from ledger.apimachinery.remember import CHARS_MAX
from ledger.apimachinery.resource import Key, Object
from ledger.auth.api import Decision
from ledger.auth.authenticators import joined
from ledger.auth.usernames import service_account_username
from ledger.log.api import Entry

GROUP = "rbac.authorization.k8s.io"
_REMEMBERED_MAX = 4096
_DECISIONS_MAX = 2048


@dataclass(frozen=True, slots=True)
class Rule:
    """One PolicyRule, immutable."""

    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: dict[str, Any]) -> Rule:
        parts = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
        return cls(*(tuple(rule.get(part) or ()) for part in parts))

    def allows(self, asked: RequestInfo) -> bool:
        if "*" not in self.verbs and asked.verb not in self.verbs:
            return False
        if not asked.is_resource:
            return any(covers_url(url, asked.path) for url in self.urls)
        return (
            ("*" in self.api_groups or asked.group in self.api_groups)
            and self._names_resource(asked)
            and (not self.resource_names or asked.name in self.resource_names)
        )

    def _names_resource(self, asked: RequestInfo) -> bool:
        if "*" in self.resources:
            return True
        if not asked.subresource:
            return asked.resource in self.resources
        return f"{asked.resource}/{asked.subresource}" in self.resources or f"*/{asked.subresource}" in self.resources


class RulesError(Exception):
    """A binding points at a role that does not exist; the text names it as a lister's error does."""

    def __init__(self, text: str, missing: str = "") -> None:
        super().__init__(text)
        self.missing = missing  # the role's name; "" for a reference to no role at all


class Rules(NamedTuple):
    """All rules of a user in a namespace, and what could not be found on the way."""

    rules: list[Rule]
    errors: list[RulesError]


class _Source(NamedTuple):
    """A binding that applies to a user, with the rules it gives; `error` instead when its role is missing."""

    described: str
    rules: tuple[Rule, ...]
    error: RulesError | None = None


class _Binding(NamedTuple):
    """A RoleBinding (with a namespace) or a ClusterRoleBinding, as the index keeps it."""

    namespace: str
    name: str
    role_kind: str
    role_name: str
    subjects: tuple[tuple[str, str], ...]  # (what to match: "User:a", "Group:b"; how it is described)


class Rbac:
    """The RBAC authorizer. Fill it with `load`, keep it true with `follow`."""

    def __init__(self) -> None:
        self._roles: dict[tuple[str, str], tuple[Rule, ...]] = {}  # (namespace, name); namespace "": ClusterRole
        self._bindings: dict[tuple[str, str], _Binding] = {}
        self._by_subject: dict[tuple[str, str], set[tuple[str, str]]] = {}  # (namespace, subject) -> bindings
        self._remembered: OrderedDict[tuple[str, tuple[str, ...], str], tuple[_Source, ...]] = OrderedDict()
        self._decided = lru_cache(_DECISIONS_MAX)(self._decide)

    def load(self, objects: Iterable[tuple[Key, Object]]) -> None:
        """Takes these objects in, whatever was known before."""
        for key, found in objects:
            self.apply(key, found)

    def follow(self, entries: Sequence[Entry]) -> None:
        """A log listener: takes in what commits did to RBAC objects."""
        for entry in entries:
            for change in entry.changes:
                if change.key.group == GROUP:
                    self.apply(change.key, orjson.loads(change.body) if change.body is not None else None)

    def apply(self, key: Key, found: Object | None) -> None:
        """Takes in one object as it is now; None: it is gone. Objects of other kinds are ignored."""
        place = (key.namespace, key.name)
        if key.resource in ("roles", "clusterroles"):
            self._roles.pop(place, None)
            if found is not None:
                self._roles[place] = tuple(Rule.of(rule) for rule in found.get("rules") or ())
        elif key.resource in ("rolebindings", "clusterrolebindings"):
            self._unbind(place)
            if found is not None:
                self._bind(place, _binding(place, found))
        else:
            return
        self._remembered.clear()
        self._decided.cache_clear()

    def authorize(self, user: User, asked: RequestInfo) -> Decision:
        """Allowed by the first rule that does; else not, with what could not be resolved as the reason."""
        decide = self._decided if len(asked.path) + len(asked.name) <= CHARS_MAX else self._decide
        return decide(user.name, user.groups, asked)

    def _decide(self, name: str, groups: tuple[str, ...], asked: RequestInfo) -> Decision:
        errors = []
        for source in self._sources(User(name, groups=groups), asked.namespace):
            if source.error is not None:
                errors.append(str(source.error))
            elif any(rule.allows(asked) for rule in source.rules):
                return Decision(True, f"RBAC: allowed by {source.described}")
        return Decision(False, f"RBAC: {joined(errors)}" if errors else "")

    def rules_for(self, user: User, namespace: str) -> Rules:
        sources = self._sources(user, namespace)
        rules = [rule for source in sources for rule in source.rules]
        return Rules(rules, [source.error for source in sources if source.error is not None])

    def role_rules(self, role_kind: str, role_name: str, namespace: str) -> tuple[Rule, ...]:
        """The rules a binding in `namespace` refers to; raises RulesError."""
        if role_kind not in ("Role", "ClusterRole"):
            raise RulesError(f"unsupported role reference kind: {quoted(role_kind)}")
        known = role_kind == "ClusterRole" or bool(namespace)
        rules = self._roles.get((namespace if role_kind == "Role" else "", role_name)) if known else None
        if rules is None:
            raise RulesError(f"{role_kind.lower()}.{GROUP} {quoted(role_name)} not found", role_name)
        return rules

    def _sources(self, user: User, namespace: str) -> tuple[_Source, ...]:
        key = (user.name, user.groups, namespace)
        known = self._remembered.get(key)
        if known is None:
            known = tuple(self._find_sources(user, namespace))
            self._remembered[key] = known
            if len(self._remembered) > _REMEMBERED_MAX:
                self._remembered.popitem(last=False)
        return known

    def _find_sources(self, user: User, namespace: str) -> Iterator[_Source]:
        """Cluster bindings first, then the namespace's, each by name: so the reason does not change from run to run."""
        wanted = [f"User:{user.name}", *(f"Group:{group}" for group in user.groups)]
        for place in dict.fromkeys(("", namespace)):
            found = {name for subject in wanted for name in self._by_subject.get((place, subject), ())}
            for name in sorted(found):
                yield self._source(self._bindings[name], set(wanted))

    def _source(self, binding: _Binding, wanted: set[str]) -> _Source:
        described = next(text for subject, text in binding.subjects if subject in wanted)
        try:
            rules = self.role_rules(binding.role_kind, binding.role_name, binding.namespace)
        except RulesError as error:
            return _Source("", (), error)
        name = quoted(f"{binding.name}/{binding.namespace}" if binding.namespace else binding.name)
        kind = "RoleBinding" if binding.namespace else "ClusterRoleBinding"
        role = f"{binding.role_kind} {quoted(binding.role_name)}"
        return _Source(f"{kind} {name} of {role} to {described}", rules)

    def _bind(self, place: tuple[str, str], binding: _Binding) -> None:
        self._bindings[place] = binding
        for subject, _ in binding.subjects:
            self._by_subject.setdefault((binding.namespace, subject), set()).add(place)

    def _unbind(self, place: tuple[str, str]) -> None:
        binding = self._bindings.pop(place, None)
        if binding is None:
            return
        for subject, _ in binding.subjects:
            bound = self._by_subject[binding.namespace, subject]
            bound.discard(place)
            if not bound:
                del self._by_subject[binding.namespace, subject]


def _binding(place: tuple[str, str], found: Object) -> _Binding:
    namespace, name = place
    role = found.get("roleRef") or {}
    subjects = (_subject(subject, namespace) for subject in found.get("subjects") or ())
    known = tuple(dict(subject for subject in subjects if subject).items())
    return _Binding(namespace, name, role.get("kind", ""), role.get("name", ""), known)


def _subject(subject: dict[str, Any], namespace: str) -> tuple[str, str] | None:
    """(what a user must match, how upstream describes it); None for a subject that nobody can be."""
    kind, name = subject.get("kind", ""), subject.get("name", "")
    if kind in ("User", "Group"):
        return f"{kind}:{name}", f"{kind} {quoted(name)}"
    if kind != "ServiceAccount":
        return None
    at = subject.get("namespace") or namespace
    return (f"User:{service_account_username(at, name)}", f"{kind} {quoted(f'{name}/{at}')}") if at else None


def covers_url(owned: str, asked: str) -> bool:
    """Whether the URL of a rule ("/logs", "/logs/*", "*") takes in a path."""
    return owned in ("*", asked) or (owned.endswith("*") and asked.startswith(owned.rstrip("*")))

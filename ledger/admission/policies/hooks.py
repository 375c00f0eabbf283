"""What policies and bindings have to say about one write: which of them match, with what parameters and bindings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ledger.admission.api import Attributes
from ledger.admission.followed import GROUP
from ledger.admission.forms import Forms, as_matched
from ledger.admission.policies.index import RESOURCES, Binding, Policies, Policy
from ledger.admission.policies.parameters import ConfigurationError, Kind, collect
from ledger.admission.policies.parameters import kind_of as kind_of_parameters
from ledger.admission.rules import NAMESPACES, Matched, matches, namespace_of
from ledger.apimachinery.status import StatusError
from ledger.projections.api import View
from ledger.scheme.scheme import Scheme

if TYPE_CHECKING:
    from ledger.scheme.cel.library.authorizer import Ask

# Reviews ask about access and are kept nowhere; a policy on them could lock everybody out.
EXCLUDED_GROUPS = frozenset({"authentication.k8s.io", "authorization.k8s.io"})


@dataclass(frozen=True, slots=True)
class Server:
    """What the plugins need of the server around them."""

    policies: Policies
    scheme: Callable[[], Scheme]
    forms: Forms
    ask: Ask


@dataclass(slots=True)
class Hook:
    """A policy with one of its bindings and one object of parameters; or what is wrong with them."""

    policy: Policy
    binding: Binding | None
    matched: Matched | None = None
    bindings: dict[str, Any] | None = None
    wrong: str = ""


def concerned(server: Server, kind: str, attributes: Attributes) -> bool:
    """Whether there is any policy to ask, and the resource is one that policies may judge."""
    if not server.policies.bound(kind):
        return False
    definition = attributes.definition
    return definition.group not in EXCLUDED_GROUPS and not (
        definition.group == GROUP and definition.resource in RESOURCES
    )


def hooks(server: Server, resource: str, attributes: Attributes, view: View) -> Iterator[Hook]:
    """All that match, by the names of policy and binding. The object is looked at when its hook's turn comes."""
    for policy in server.policies.bound(resource):
        try:
            found = matches(attributes, policy.spec.get("matchConstraints") or {}, view, server.scheme)
            kind = None if found is None else kind_of_parameters(policy.spec.get("paramKind"), server.scheme())
        except (ConfigurationError, StatusError) as error:
            yield Hook(policy, None, wrong=f"failed to configure policy: {error}")
            continue
        if found is not None:
            for binding in policy.bindings:
                yield from _bound(server, Hook(policy, binding, found), kind, attributes, view)


def _bound(server: Server, hook: Hook, kind: Kind | None, attributes: Attributes, view: View) -> Iterator[Hook]:
    from ledger.admission.policies.evaluation import bindings_of

    policy, binding, found = hook.policy, hook.binding, hook.matched
    assert binding is not None and found is not None
    try:
        chosen = binding.spec.get("matchResources")
        if chosen is not None and matches(attributes, chosen, view, server.scheme) is None:
            return
        namespace = "" if attributes.definition.group_resource == NAMESPACES else attributes.namespace
        parameters = collect(kind, binding.spec.get("paramRef"), attributes.namespace, view)
    except (ConfigurationError, StatusError) as error:
        hook.wrong = f"failed to configure binding: {error}"
        yield hook
        return
    around = namespace_of(namespace, view) if namespace and parameters else None
    for params in parameters:
        forms = (
            as_matched(server.forms, found, attributes, attributes.object),
            as_matched(server.forms, found, attributes, attributes.old),
        )
        seen = bindings_of(attributes, found, forms, around, server.ask)
        yield Hook(policy, binding, found, policy.evaluator.bind(seen, params))

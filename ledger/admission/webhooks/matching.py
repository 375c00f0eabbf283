"""Which webhooks a write concerns: rules, selectors, match conditions.

Follows ShouldCallHook in pkg/admission/plugin/webhook/generic/webhook.go of k8s.io/apiserver.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ledger.admission.api import Attributes, Convert
from ledger.admission.followed import GROUP
from ledger.admission.forms import Forms, as_matched
from ledger.admission.policies.index import RESOURCES as POLICY_RESOURCES
from ledger.admission.rules import Matched, matches
from ledger.admission.webhooks.index import RESOURCES, Webhook, Webhooks
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import StatusError, forbidden
from ledger.outbound.client import Client
from ledger.projections.api import View
from ledger.scheme.scheme import Scheme

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ledger.scheme.cel.library.authorizer import Ask

# Questions that are kept nowhere: a webhook on them could lock everybody out (ExcludeAdmissionWebhookVirtualResources).
_REVIEWS = frozenset(
    {
        *(("authentication.k8s.io", one) for one in ("selfsubjectreviews", "tokenreviews")),
        *(
            ("authorization.k8s.io", f"{one}reviews")
            for one in ("localsubjectaccess", "selfsubjectaccess", "selfsubjectrules", "subjectaccess")
        ),
    }
)
_CONFIGURATIONS = frozenset({*RESOURCES, *POLICY_RESOURCES})


@dataclass(frozen=True, slots=True)
class Server:
    """What the two plugins need of the server around them."""

    webhooks: Webhooks
    scheme: Callable[[], Scheme]
    forms: Forms
    ask: Ask
    client: Client
    new_uid: Callable[[], str]
    view: Callable[[], AbstractContextManager[View]]
    convert: Convert


class Invocation(NamedTuple):
    """A webhook that is to be asked about a write, and how the write looks to it."""

    webhook: Webhook
    matched: Matched
    object: Object | None
    old: Object | None


def concerned(server: Server, kind: str, attributes: Attributes) -> bool:
    """Whether there is any webhook to ask, and the resource is one that webhooks may be asked about."""
    if not server.webhooks.of(kind):
        return False
    definition = attributes.definition
    if definition.group == GROUP and definition.resource in _CONFIGURATIONS:
        return False  # a webhook must not be able to keep itself from being removed
    return (definition.group, definition.resource) not in _REVIEWS


async def invocations(server: Server, webhooks: Sequence[Webhook], attributes: Attributes) -> list[Invocation | None]:
    """As `invocation`, for each, all at one moment."""

    def found() -> list[Invocation | None]:
        with server.view() as view:
            return [invocation(server, one, attributes, view) for one in webhooks]

    shown: list[Invocation | None] = await server.convert(attributes.definition, found)
    return shown


def invocation(server: Server, webhook: Webhook, attributes: Attributes, view: View) -> Invocation | None:
    """How the webhook is to be asked; None: not at all.

    Raises StatusError: 403 when a match condition fails that must not, 404 when the namespace whose labels decide is
    missing.
    """
    spec = webhook.spec
    if not spec.get("rules"):
        return None
    constraints = {
        "namespaceSelector": spec.get("namespaceSelector"),
        "objectSelector": spec.get("objectSelector"),
        "matchPolicy": spec.get("matchPolicy", "Equivalent"),
        "resourceRules": spec["rules"],
    }
    found = matches(attributes, constraints, view, server.scheme)
    if found is None:
        return None
    shown = Invocation(
        webhook,
        found,
        as_matched(server.forms, found, attributes, attributes.object),
        as_matched(server.forms, found, attributes, attributes.old),
    )
    return shown if not spec.get("matchConditions") or _conditions_hold(server, attributes, shown) else None


def _conditions_hold(server: Server, attributes: Attributes, shown: Invocation) -> bool:
    from ledger.admission.policies.evaluation import bindings_of, conditions_hold
    from ledger.admission.policies.index import EvaluationError

    webhook = shown.webhook
    bindings = bindings_of(attributes, shown.matched, (shown.object, shown.old), None, server.ask)
    try:
        return conditions_hold(webhook.conditions, bindings, webhook.ignores_failures)
    except EvaluationError as error:
        raise _refused(attributes, error) from None


def _refused(attributes: Attributes, why: Exception) -> StatusError:
    return forbidden(attributes.definition.group_resource, attributes.name, str(why))

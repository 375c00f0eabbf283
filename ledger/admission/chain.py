"""The list of admission plugins, in kube-apiserver's order, and how a write passes them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from typing import Any, NamedTuple, Protocol

from ledger.admission.api import Attributes, Convert, Plugin
from ledger.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    ClusterTrustBundleAttest,
)
from ledger.admission.claim_resize import PersistentVolumeClaimResize
from ledger.admission.default_class import DefaultIngressClass, DefaultStorageClass
from ledger.admission.default_tolerations import DefaultTolerationSeconds
from ledger.admission.in_use_protection import StorageObjectInUseProtection
from ledger.admission.limit_ranger import LimitRanger
from ledger.admission.namespace_lifecycle import NamespaceLifecycle
from ledger.admission.node_features import NodeDeclaredFeatureValidator
from ledger.admission.node_taints import TaintNodesByCondition
from ledger.admission.pod_resize import PodResizeValidator
from ledger.admission.pod_security import PodSecurity
from ledger.admission.pod_topology import PodTopologyLabels
from ledger.admission.policies.hooks import Server
from ledger.admission.policies.mutating import MutatingAdmissionPolicy
from ledger.admission.policies.validating import ValidatingAdmissionPolicy
from ledger.admission.priority import Priority
from ledger.admission.runtime_class import RuntimeClass
from ledger.admission.service_account import ServiceAccount
from ledger.admission.webhooks.matching import Server as WebhookServer
from ledger.admission.webhooks.mutating import MutatingAdmissionWebhook
from ledger.admission.webhooks.validating import ValidatingAdmissionWebhook
from ledger.apimachinery.resource import GroupResource
from ledger.auth.api import Authorize
from ledger.projections.api import View
from ledger.scheme.conversion import by_webhook
from ledger.scheme.definition import ResourceDefinition

# pkg/kubeapiserver/options/plugins.go: every plugin on by default, in order.
PLUGIN_NAMES = (
    "NamespaceLifecycle",
    "LimitRanger",
    "ServiceAccount",
    "TaintNodesByCondition",
    "PodSecurity",
    "Priority",
    "DefaultTolerationSeconds",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "PersistentVolumeClaimResize",
    "RuntimeClass",
    "CertificateApproval",
    "CertificateSigning",
    "ClusterTrustBundleAttest",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
    "PodTopologyLabels",
    "NodeDeclaredFeatureValidator",
    "PodResizeValidator",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "ResourceQuota",
)

OpenView = Callable[[], AbstractContextManager[View]]


async def without_webhooks(definition: ResourceDefinition, work: Callable[[], Any]) -> Any:
    """Calls what needs no conversion that a webhook has to make."""
    return work()


class Waiting(Protocol):
    """A plugin that must wait (a webhook); it is called outside any View."""

    name: str

    def handles(self, attributes: Attributes) -> bool: ...
    async def admit_async(self, attributes: Attributes) -> None: ...
    async def validate_async(self, attributes: Attributes) -> None: ...


class Chain:
    """Passes writes through the plugins: first all that may change them, later all that may only refuse."""

    def __init__(
        self, plugins: Sequence[Plugin | Waiting], view: OpenView, convert: Convert = without_webhooks
    ) -> None:
        self.view, self.convert = view, convert
        self.mutating = [one for one in plugins if hasattr(one, "admit") or hasattr(one, "admit_async")]
        self.validating = [one for one in plugins if hasattr(one, "validate") or hasattr(one, "validate_async")]
        self._plans: dict[GroupResource, Plan] = {}

    async def admit(self, attributes: Attributes) -> None:
        """Mutating plugins; StatusError when one refuses. Two rounds, where a hook changed what others had seen."""
        await self._round(attributes)
        if attributes.rounds.wanted:
            attributes.rounds.second = True
            await self._round(attributes)

    async def _round(self, attributes: Attributes) -> None:
        for plugin, waits in self._plan(attributes).mutating:
            if plugin.handles(attributes):
                if waits:
                    await plugin.admit_async(attributes)
                else:
                    await self._call(plugin.admit, attributes)

    async def _call(self, work: Callable[[Attributes, View], None], attributes: Attributes) -> None:
        if not by_webhook(attributes.definition):
            with self.view() as view:
                work(attributes, view)
            return
        given = attributes.object

        def again() -> None:
            """From the start each time: a plugin may need a version that a webhook has to make first."""
            attributes.object = deepcopy(given)
            with self.view() as view:
                work(attributes, view)

        await self.convert(attributes.definition, again)

    async def validate(self, attributes: Attributes) -> None:
        """Validating plugins; StatusError when one refuses."""
        for plugin, waits in self._plan(attributes).validating:
            if plugin.handles(attributes):
                if waits:
                    await plugin.validate_async(attributes)
                else:
                    await self._call(plugin.validate, attributes)

    def _plan(self, attributes: Attributes) -> Plan:
        """The plugins that may have something to say about a resource, found out once."""
        resource = attributes.definition.group_resource
        plan = self._plans.get(resource)
        if plan is None:
            plan = self._plans[resource] = Plan(
                [(one, hasattr(one, "admit_async")) for one in self.mutating if _about(one, resource)],
                [(one, hasattr(one, "validate_async")) for one in self.validating if _about(one, resource)],
            )
        return plan


class Plan(NamedTuple):
    """Plugins of one resource in order; with each, whether it must wait."""

    mutating: list[tuple[Any, bool]]
    validating: list[tuple[Any, bool]]


def _about(plugin: Plugin | Waiting, resource: GroupResource) -> bool:
    resources: Collection[GroupResource] | None = getattr(plugin, "resources", None)
    return resources is None or resource in resources


def default_plugins(
    new_suffix: Callable[[], str],
    authorize: Authorize,
    disabled: Sequence[str] = (),
    server: Server | None = None,
    webhooks: WebhookServer | None = None,
) -> list[Plugin | Waiting]:
    """The plugins on by default, less the disabled ones. `new_suffix` ends generated names.

    `server` is what admission policies need, `webhooks` what webhooks need; without it there are none.

    ResourceQuota comes after everything else and needs more; the server adds it.
    """
    plugins: list[Any] = [
        NamespaceLifecycle(),
        LimitRanger(),
        ServiceAccount(new_suffix),
        TaintNodesByCondition(),
        PodSecurity(),
        Priority(),
        DefaultTolerationSeconds(),
        DefaultStorageClass(),
        StorageObjectInUseProtection(),
        PersistentVolumeClaimResize(),
        RuntimeClass(),
        CertificateApproval(authorize),
        CertificateSigning(authorize),
        ClusterTrustBundleAttest(authorize),
        CertificateSubjectRestriction(),
        DefaultIngressClass(),
        PodTopologyLabels(),
        NodeDeclaredFeatureValidator(),
        PodResizeValidator(),
        *([MutatingAdmissionPolicy(server)] if server is not None else ()),
        *([MutatingAdmissionWebhook(webhooks)] if webhooks is not None else ()),
        *([ValidatingAdmissionPolicy(server)] if server is not None else ()),
        *([ValidatingAdmissionWebhook(webhooks)] if webhooks is not None else ()),
    ]
    return [one for one in plugins if one.name not in disabled]

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
        steps = self._plan(attributes).mutating
        await self._pass(steps, attributes)
        if attributes.rounds.wanted:
            attributes.rounds.second = True
            await self._pass(steps, attributes)

    async def validate(self, attributes: Attributes) -> None:
        """Validating plugins; StatusError when one refuses."""
        await self._pass(self._plan(attributes).validating, attributes)

    async def _pass(self, steps: list[Step], attributes: Attributes) -> None:
        for handles, work, waits in steps:
            if not handles(attributes):
                continue
            if waits:
                await work(attributes)
            elif by_webhook(attributes.definition):
                await self._again(work, attributes)
            else:
                with self.view() as view:
                    work(attributes, view)

    async def _again(self, work: Callable[[Attributes, View], None], attributes: Attributes) -> None:
        """From the start each time: a plugin may need a version that a webhook has to make first."""
        given = attributes.object

        def again() -> None:
            attributes.object = deepcopy(given)
            with self.view() as view:
                work(attributes, view)

        await self.convert(attributes.definition, again)

    def _plan(self, attributes: Attributes) -> Plan:
        """The plugins that may have something to say about a resource, found out once."""
        resource = attributes.definition.group_resource
        plan = self._plans.get(resource)
        if plan is None:
            plan = self._plans[resource] = Plan(
                _steps(self.mutating, resource, "admit"), _steps(self.validating, resource, "validate")
            )
        return plan


class Step(NamedTuple):
    """What is asked of one plugin."""

    handles: Callable[[Attributes], bool]
    work: Callable[..., Any]
    waits: bool  # `work` is a coroutine, and takes no View


class Plan(NamedTuple):
    """Plugins of one resource in order."""

    mutating: list[Step]
    validating: list[Step]


def _steps(plugins: Sequence[Plugin | Waiting], resource: GroupResource, work: str) -> list[Step]:
    found = []
    for one in plugins:
        if _about(one, resource):
            waits = hasattr(one, f"{work}_async")
            found.append(Step(one.handles, getattr(one, f"{work}_async" if waits else work), waits))
    return found


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

"""ResourceQuota: a write that would use more than a namespace may is refused; one that fits is charged.

The charge is the quota's new status, committed together with the object and only if the quota is still as it was read:
no two writes can spend the same rest. What is deleted is given back by the quota controller, as upstream does it.
Follows k8s.io/apiserver/pkg/admission/plugin/resourcequota.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import orjson

from ledger.admission.api import Attributes
from ledger.admission.matching import PODS, refuse
from ledger.admission.pod_resources import Amounts, added, container_amounts, has_pod_level, parsed
from ledger.admission.quota.scopes import is_bounded
from ledger.admission.quota.usage import Evaluator, compute_usage, evaluator_of, within
from ledger.apimachinery.resource import GroupResource, Object
from ledger.log.event import Change
from ledger.projections.api import Stored, View

QUOTAS = GroupResource("", "resourcequotas")
CLAIMS = GroupResource("", "persistentvolumeclaims")
# A quota on one of these demands that every container says what it wants.
DEMANDING = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})

StoreStatus = Callable[[Stored, Object], Change]  # the quota as stored, and with its new status -> the change


class ResourceQuota:
    """`store_status` makes the change that records a charge; `clock` gives microseconds since 1970."""

    name = "ResourceQuota"

    def __init__(self, store_status: StoreStatus, clock: Callable[[], int]) -> None:
        self.store_status, self.clock = store_status, clock

    def handles(self, attributes: Attributes) -> bool:
        if attributes.operation not in ("CREATE", "UPDATE") or not attributes.namespace:
            return False
        resource, subresource = attributes.definition.group_resource, attributes.subresource
        evaluator = evaluator_of(resource)
        if evaluator is None:
            return False
        if resource == PODS and attributes.operation == "UPDATE":
            assert attributes.object is not None and attributes.old is not None
            return subresource == "resize" or (
                not subresource and is_bounded(attributes.object) != is_bounded(attributes.old)
            )
        if resource == CLAIMS and subresource == "status":
            return True
        return not subresource and (attributes.operation == "CREATE" or evaluator.on_update)

    def validate(self, attributes: Attributes, view: View) -> None:
        """Raises StatusError 403; adds the charged quotas to the write."""
        quotas = list(view.scan(QUOTAS, attributes.namespace))
        evaluator = evaluator_of(attributes.definition.group_resource)
        if not quotas or evaluator is None:
            return
        obj = attributes.object
        assert obj is not None
        charged = [(stored, quota) for stored in quotas if (quota := self._charged(attributes, evaluator, stored))]
        if not attributes.dry_run:
            attributes.companions += [self.store_status(stored, quota) for stored, quota in charged]

    def _charged(self, attributes: Attributes, evaluator: Evaluator, stored: Stored) -> Object | None:
        """The quota with this write charged to it; None when it is not about this write, or nothing changes."""
        quota: Object = {"kind": stored.kind, "apiVersion": stored.api_version, **orjson.loads(stored.body)}
        obj, old = attributes.object, attributes.old
        assert obj is not None
        status = quota.get("status") or {}
        hard, used = parsed(status.get("hard")), parsed(status.get("used"))
        names = evaluator.names(hard)
        if not names or not within(evaluator, quota, obj):
            return None
        name = quota["metadata"]["name"]
        if attributes.definition.group_resource == PODS:
            if missing := _unsaid(names, obj["spec"]):
                raise refuse(attributes, f"failed quota: {name}: must specify {missing}")
        if any(one not in used for one in names):
            raise refuse(attributes, f"status unknown for quota: {name}, resources: {','.join(names)}")
        now = self.clock()
        usage = evaluator.usage(obj, now)
        if negative := sorted(one for one, amount in usage.items() if amount.unscaled < 0):
            raise refuse(attributes, f"quota usage is negative for resource(s): {','.join(negative)}")
        if old is not None and within(evaluator, quota, old):
            usage = _more(usage, evaluator.usage(old, now))
        asked = {one: amount for one, amount in usage.items() if amount and one in hard}
        if not asked:
            return None
        total = added(used, asked)
        if attributes.subresource != "status":
            over = sorted(one for one in asked if total[one] > hard[one])
            if over:
                texts = (f"{what}: {_shown(amounts, over)}" for what, amounts in _compared(asked, used, hard))
                raise refuse(attributes, f"exceeded quota: {name}, {', '.join(texts)}")
        return {**quota, "status": {**status, "used": {one: str(amount) for one, amount in sorted(total.items())}}}


def _compared(asked: Amounts, used: Amounts, hard: Amounts) -> Iterable[tuple[str, Amounts]]:
    return ("requested", asked), ("used", used), ("limited", hard)


def _shown(amounts: Amounts, names: Iterable[str]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in names if name in amounts)


def _more(usage: Amounts, before: Amounts) -> Amounts:
    """What is used beyond what was, never below nothing."""
    return {
        name: amount - before[name] if name in before else amount
        for name, amount in usage.items()
        if name not in before or amount > before[name]
    }


def _unsaid(names: Iterable[str], spec: Object) -> str:
    """Which containers do not say what a quota counts: "requests.cpu for: a,b; ..."; "" when all do."""
    if has_pod_level(spec):
        return ""
    required = DEMANDING.intersection(names)
    missing: dict[str, set[str]] = {}
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        said = compute_usage(container_amounts(container, "requests"), container_amounts(container, "limits"))
        for name in required - said.keys():
            missing.setdefault(name, set()).add(container.get("name", ""))
    return "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))

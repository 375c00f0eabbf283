"""Priority: a pod's priority comes from its class, or the default one; system classes are not for everybody.

Follows plugin/pkg/admission/priority in k8s.io/kubernetes.
"""

from __future__ import annotations

import orjson

from ledger.admission.api import Attributes
from ledger.admission.matching import PODS, concerns, refuse
from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.log.event import Guard
from ledger.projections.api import View

CLASSES = GroupResource("scheduling.k8s.io", "priorityclasses")
SYSTEM_CLASSES = frozenset({"system-node-critical", "system-cluster-critical"})
DEFAULT_PREEMPTION = "PreemptLowerPriority"


class Priority:
    name = "Priority"
    resources = frozenset({PODS, CLASSES})

    def handles(self, attributes: Attributes) -> bool:
        return concerns(attributes, PODS, "CREATE", "UPDATE") or concerns(
            attributes, CLASSES, "CREATE", "UPDATE", "DELETE"
        )

    def admit(self, attributes: Attributes, view: View) -> None:
        if attributes.definition.group_resource != PODS:
            return
        pod = attributes.object
        assert pod is not None
        spec = pod["spec"]
        if attributes.operation == "UPDATE":
            old = (attributes.old or {}).get("spec") or {}
            for name in ("priority", "preemptionPolicy"):
                if name not in spec and name in old:
                    spec[name] = old[name]
            return
        value, policy = self._class_of(attributes, view, spec)
        if spec.get("priority") is not None and spec["priority"] != value:
            why = (
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority admission"
                f" controller computed {value} from the given PriorityClass name"
            )
            raise refuse(attributes, why)
        spec["priority"] = value
        given = spec.get("preemptionPolicy")
        if given is not None and given != policy:
            why = (
                f"the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission"
                f" controller computed {policy} from the given PriorityClass name"
            )
            raise refuse(attributes, why)
        spec["preemptionPolicy"] = policy

    def validate(self, attributes: Attributes, view: View) -> None:
        """Only one class may be the global default."""
        if attributes.definition.group_resource != CLASSES:
            return
        if attributes.operation == "DELETE":
            if attributes.name in SYSTEM_CLASSES:
                raise refuse(attributes, "this is a system priority class and cannot be deleted")
            return
        created = attributes.object
        assert created is not None
        if not created.get("globalDefault"):
            return
        default = _global_default(view)
        if default is not None and default["metadata"]["name"] != created["metadata"]["name"]:
            name = default["metadata"]["name"]
            raise refuse(
                attributes,
                f"PriorityClass {name} is already marked as default. Only one default can exist",
            )

    def _class_of(self, attributes: Attributes, view: View, spec: Object) -> tuple[int, str]:
        """(priority, preemption policy) of the pod's class; the pod then names it."""
        name = spec.get("priorityClassName", "")
        if not name:
            default = _global_default(view)
            if default is None:
                return 0, DEFAULT_PREEMPTION
            spec["priorityClassName"] = default["metadata"]["name"]
            return default.get("value", 0), default.get("preemptionPolicy", DEFAULT_PREEMPTION)
        stored = view.get(Key(*CLASSES, "", name))
        if stored is None:
            raise refuse(attributes, f"no PriorityClass with name {name} was found")
        attributes.guards.append(Guard(stored.key, stored.revision))
        found = orjson.loads(stored.body)
        return found.get("value", 0), found.get("preemptionPolicy", DEFAULT_PREEMPTION)


def _global_default(view: View) -> Object | None:
    """The default class; the lowest when several are marked, as upstream chooses."""
    found: list[Object] = [orjson.loads(one.body) for one in view.scan(CLASSES) if b'"globalDefault":true' in one.body]
    return min(found, key=lambda one: one.get("value", 0), default=None)

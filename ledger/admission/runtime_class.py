"""RuntimeClass: a pod's runtime class exists, and brings its overhead and its scheduling along.

Follows plugin/pkg/admission/runtimeclass in k8s.io/kubernetes.
"""

from __future__ import annotations

import orjson

from ledger.admission.api import Attributes
from ledger.admission.matching import PODS, concerns, refuse
from ledger.apimachinery.resource import Key, Object
from ledger.log.event import Guard
from ledger.projections.api import View


class RuntimeClass:
    name = "RuntimeClass"
    resources = frozenset({PODS})

    def handles(self, attributes: Attributes) -> bool:
        return concerns(attributes, PODS, "CREATE")

    def admit(self, attributes: Attributes, view: View) -> None:
        assert attributes.object is not None
        spec = attributes.object["spec"]
        found = self._class_of(attributes, view, spec)
        if found is None:
            return
        overhead = (found.get("overhead") or {}).get("podFixed")
        if overhead:
            if spec.get("overhead") and spec["overhead"] != overhead:
                raise refuse(attributes, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
            spec["overhead"] = overhead
        scheduling = found.get("scheduling") or {}
        selector = dict(spec.get("nodeSelector") or {})
        for name, value in (scheduling.get("nodeSelector") or {}).items():
            if name in selector and selector[name] != value:
                why = (
                    f"conflict: runtimeClass.scheduling.nodeSelector[{name}] = {value}; "
                    f"pod.spec.nodeSelector[{name}] = {selector[name]}"
                )
                raise refuse(attributes, why)
            selector[name] = value
        if selector:
            spec["nodeSelector"] = selector
        tolerations = spec.get("tolerations") or []
        added = [one for one in scheduling.get("tolerations") or () if one not in tolerations]
        if added:
            spec["tolerations"] = [*tolerations, *added]

    def validate(self, attributes: Attributes, view: View) -> None:
        assert attributes.object is not None
        spec = attributes.object["spec"]
        if not spec.get("runtimeClassName") and spec.get("overhead"):
            raise refuse(
                attributes, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            )

    def _class_of(self, attributes: Attributes, view: View, spec: Object) -> Object | None:
        name = spec.get("runtimeClassName")
        if not name:
            return None
        stored = view.get(Key("node.k8s.io", "runtimeclasses", "", name))
        if stored is None:
            raise refuse(attributes, f'pod rejected: RuntimeClass "{name}" not found')
        attributes.guards.append(Guard(stored.key, stored.revision))
        found: Object = orjson.loads(stored.body)
        return found

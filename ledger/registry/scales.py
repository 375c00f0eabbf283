"""A Scale: what the scale subresource shows of an object, whatever its kind."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import GVK, Object
from ledger.apimachinery.selectors import label_selector_from
from ledger.apimachinery.status import internal_error
from ledger.registry.decide import value_at
from ledger.scheme.definition import ScalePaths

SCALE = GVK("autoscaling", "v1", "Scale")


def scale_of(paths: ScalePaths, obj: Object, unset: int | None = None) -> Object:
    """The Scale that an object in the request's version shows. `unset`: replicas where it has none, else an error."""
    metadata = obj["metadata"]
    replicas = value_at(obj, paths.spec_replicas)
    if replicas is None:
        replicas = unset
    if replicas is None:
        raise internal_error(f'the spec replicas field ".{paths.spec_replicas}" does not exist')
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    spec = {"replicas": replicas} if replicas else {}
    status: Object = {"replicas": value_at(obj, paths.status_replicas) or 0}
    selector = selector_text(value_at(obj, paths.label_selector)) if paths.label_selector else ""
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": spec,
        "status": status,
    }


def selector_text(selector: Any) -> str:
    """A selector as text, whether it is text already (custom resources), a LabelSelector or a plain map of labels."""
    if not selector or isinstance(selector, str):
        return selector or ""
    if "matchLabels" in selector or "matchExpressions" in selector:
        return str(label_selector_from(selector))
    return str(label_selector_from({"matchLabels": selector}))

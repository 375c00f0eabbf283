"""What the conversions share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ledger.apimachinery.resource import Object

Step = Callable[[Object], Object]  # gives a new object; what it does not change may be shared with the old one


class Steps(NamedTuple):
    """How one version's objects become the stored ones and back; apiVersion and kind are not their business."""

    to_stored: Step
    from_stored: Step


def renamed(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The fields under their other names, in their order."""
    return {names.get(name, name): value for name, value in fields.items()}


def with_spec(obj: Object, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Object:
    """The object with its spec changed; itself if it has none."""
    spec = obj.get("spec")
    return {**obj, "spec": change(spec)} if isinstance(spec, dict) else obj


def each(items: Any, change: Callable[[Any], Any]) -> Any:
    """A list with every item changed; anything else as it is."""
    return [change(item) for item in items] if isinstance(items, list) else items


def annotations_of(obj: Object) -> dict[str, str]:
    """A copy of the object's annotations."""
    return dict(obj.get("metadata", {}).get("annotations") or {})


def with_annotations(obj: Object, values: dict[str, str]) -> Object:
    """The object with exactly these annotations, by name as Go writes maps; without the field when there are none."""
    metadata = {key: value for key, value in obj.get("metadata", {}).items() if key != "annotations"}
    if values:
        metadata["annotations"] = dict(sorted(values.items()))
    return {**obj, "metadata": metadata} if metadata or "metadata" in obj else obj

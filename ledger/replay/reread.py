"""A custom object as its definition's schema of the moment shows it: stored bytes stay, what is read of them changes.

A CustomResourceDefinition's new schema alters objects without a write: fields it does not know are pruned when they
are read, defaults are filled in. (Structural schemas in k8s.io/apiextensions-apiserver.)
"""

from __future__ import annotations

from copy import deepcopy

from ledger.apimachinery.resource import Object, Schema
from ledger.scheme.structural import default, drop_nulls, prune, structural

ALWAYS_KEPT = ("apiVersion", "kind", "metadata")


def reread(obj: Object, schema: Schema | None) -> Object:
    """The object, pruned and defaulted; the given one is not changed."""
    if schema is None:
        return obj
    node = structural(schema)
    rest = deepcopy({name: value for name, value in obj.items() if name not in ALWAYS_KEPT})
    prune(rest, node)
    drop_nulls(rest, node)
    default(rest, node)
    return {**{name: value for name, value in obj.items() if name in ALWAYS_KEPT}, **rest}

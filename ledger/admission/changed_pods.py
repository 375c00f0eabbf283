"""Updates of pods that are on a node, which that node has to go along with."""

from __future__ import annotations

from ledger.admission.api import Attributes
from ledger.admission.matching import refuse
from ledger.apimachinery.resource import Key
from ledger.projections.api import Stored, View


def node_name(attributes: Attributes) -> str:
    """Where the pod of an update is; "" for nowhere, and where its spec stays as it is."""
    pod, old = attributes.object, attributes.old
    assert pod is not None and old is not None
    if pod["metadata"].get("generation") == old["metadata"].get("generation"):
        return ""
    name: str = pod["spec"].get("nodeName", "")
    return name


def node(attributes: Attributes, view: View, name: str) -> Stored:
    """Raises StatusError 403 where there is none."""
    stored = view.get(Key("", "nodes", "", name))
    if stored is None:
        raise refuse(attributes, f'node "{name}" not found')
    return stored

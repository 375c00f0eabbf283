"""`--explain`: the question as it was understood, and where its answer would be looked for, instead of the answer."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from ledger.cli.asked import MACHINE
from ledger.cli.output import Out
from ledger.replay.moments import Moment, millis
from ledger.replay.past import Past
from ledger.replay.printing.documents import API_VERSION, moment_json
from ledger.replay.targets import Target

# Flags that narrow or shape an answer, in the order they are told; those that were not given are left out.
_TOLD = ("namespace", "user", "group", "verb", "selector", "grep", "where", "path", "id", "limit", "noise")


def explain(
    past: Past,
    options: argparse.Namespace,
    index: str,
    moments: Mapping[str, Moment] = {},
    targets: Sequence[Target] = (),
    classes: str = "",
) -> int:
    """Prints the resolved query; the exit status is 0."""
    out = Out(options)
    given = {name: getattr(options, name, None) for name in _TOLD}
    filters = {name: value for name, value in given.items() if value not in (None, "", "hide")}
    if out.format in MACHINE:
        query = {name: moment_json(moment) for name, moment in moments.items()}
        objects = [named(target) for target in targets]
        plan = {"query": {"command": options.argv, **query, **filters}, "objects": objects, "index": index}
        out.encoded({"apiVersion": API_VERSION, "kind": "QueryPlan", **plan, **({"class": classes} if classes else {})})
        return 0
    rows = [("source", f"{options.data_dir}    head rv {past.head}")]
    rows += [(name, f"rv {at.revision}, {millis(at.time)}, {at.position:,} requests") for name, at in moments.items()]
    rows += [("object", named(target)) for target in targets]
    rows += [("class", classes)] if classes else []
    rows += [(name, " ".join(value) if isinstance(value, list) else str(value)) for name, value in filters.items()]
    out.lines(f"{name:<10}{text}" for name, text in [*rows, ("index", index)])
    return 0


def named(target: Target) -> str:
    """The resource, or the resource, namespace and name: deployments.apps/shop/orders."""
    parts = (str(target.resource), target.key.namespace, target.key.name) if target.key else (str(target.resource),)
    return "/".join(part for part in parts if part)

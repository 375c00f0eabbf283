"""What the log never held at all: resources whose writes its policy left out, and objects that it never names.

Nothing in an audit log says what its policy dropped; these are the signs of it. They are told resource by resource, for
of such objects not even the names are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ledger.apimachinery.resource import GroupResource
from ledger.replay.importer.base import Base
from ledger.replay.importer.plan import Plan
from ledger.replay.importer.rules import Step

EVENTS, LEASES = GroupResource("", "events"), GroupResource("coordination.k8s.io", "leases")
PODS = GroupResource("", "pods")
LIVE_SECONDS = 60  # a log that covers less may well hold no write of what is written all the time


class Unlogged(NamedTuple):
    """Objects of a resource (in a namespace; "": in all) may differ, be missing or be left over after a revision."""

    resource: GroupResource
    namespace: str
    after: int
    why: str

    def to_json(self) -> dict[str, Any]:
        return {**self.resource._asdict(), "namespace": self.namespace, "after": self.after, "why": self.why}


def unlogged(
    steps: Mapping[int, Step], plan: Plan, base: Base | None, span_us: int, unnamed: list[Step]
) -> list[Unlogged]:
    """By resource. `unnamed` are creations of objects whose names no record tells."""
    written = Counter(GroupResource(*steps[record].key[:2]) for record in plan.revisions if _rewrites(steps[record]))
    after = base.revision if base else 0
    found: dict[tuple[GroupResource, str], Unlogged] = {}
    for resource, count in _shown_but_not_logged(steps, plan, base).items():
        if not written[resource]:
            why = f"the log holds no changes of them, yet the snapshot shows {count} that were made while it ran"
            found[resource, ""] = Unlogged(resource, "", after, why)
    for resource, why in _always_written(written) if span_us >= LIVE_SECONDS * 1_000_000 else ():
        if not written[resource]:
            why = f"the log holds no changes of them, though {why}"
            found.setdefault((resource, ""), Unlogged(resource, "", after, why))
    for step in unnamed:
        resource = GroupResource(*step.key[:2])
        if (resource, "") not in found and (resource, step.key.namespace) not in found:
            why = "some were created with generated names that no record tells"
            before = plan.clock.bounds(step.received, step.answered)[0]
            found[resource, step.key.namespace] = Unlogged(resource, step.key.namespace, max(before, after), why)
    return [found[place] for place in sorted(found)]


def _always_written(written: Counter[GroupResource]) -> Iterator[tuple[GroupResource, str]]:
    """What a live cluster writes all the time, and who does."""
    if written[PODS]:
        yield EVENTS, "whoever starts a pod tells so in one"
    if written:
        yield LEASES, "API servers and nodes renew theirs every ten seconds"


def _rewrites(step: Step) -> bool:
    return step.verb in ("update", "patch") or (step.verb == "create" and step.key[:2] == ("", "events"))


def _shown_but_not_logged(steps: Mapping[int, Step], plan: Plan, base: Base | None) -> Counter[GroupResource]:
    """How many objects the snapshot shows at a revision that was made while the log ran, by no request in it."""
    found: Counter[GroupResource] = Counter()
    if base is None or not plan.clock.revisions:
        return found
    made = {(steps[record].key, one) for record, revisions in plan.revisions.items() for one in revisions}
    begins = plan.clock.revisions[0]
    for key, revision in base.revisions().items():
        if begins < revision and (key, revision) not in made:
            found[GroupResource(*key[:2])] += 1
    return found

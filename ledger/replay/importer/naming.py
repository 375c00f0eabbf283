"""Names of objects that were created with generateName and without an answer in the log.

Such a creation names nothing. Where, soon after, a request names an object of that resource and namespace that nothing
created, that is the object: of several creations that wait for a name, the one by the same user, else the oldest. Or a
snapshot shows the object, with the second it was created in.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from ledger.apimachinery.resource import Key, Object
from ledger.apimachinery.times import rfc3339
from ledger.replay.importer.record import Facts
from ledger.replay.importer.rules import Step

# k8s.io/apiserver/pkg/storage/names: a base, and five of 27 characters.
GENERATED = re.compile(r"^(?P<base>.*[^.])[bcdfghjklmnpqrstvwxz2456789]{5}$")


class Naming:
    """Fed with the log's successful requests in reading order."""

    def __init__(self, existing: Mapping[Key, Object]) -> None:
        """`existing` objects are a snapshot's: they may be older than the log."""
        self._existing = existing
        self._named: set[Key] = set()
        self._waiting: dict[tuple[str, str, str], list[tuple[Step, str]]] = defaultdict(list)

    def created(self, step: Step, user: str) -> None:
        self._waiting[step.key[:3]].append((step, user))

    def mentioned(self, facts: Facts, user: str) -> None:
        """Gives the name in this request to the creation that waits for it, if any does."""
        key = facts.key
        if not key.name or key in self._named:
            return
        self._named.add(key)
        waiting = self._waiting.get(key[:3])
        if waiting and key not in self._existing and GENERATED.match(key.name):
            own = [one for one in waiting if one[1] == user]
            chosen = own[-1] if own else waiting[0]
            waiting.remove(chosen)
            chosen[0].key = key
            chosen[0].uid = facts.uid

    def unnamed(self) -> list[Step]:
        """Creations whose objects neither a request nor the snapshot names."""
        shown: dict[tuple[str, str, str, str], list[Key]] = defaultdict(list)
        for key, obj in self._existing.items() if self._waiting else ():
            if obj["metadata"].get("generateName"):
                shown[*key[:3], obj["metadata"].get("creationTimestamp") or ""].append(key)
        left = []
        for step, _ in (one for waiting in self._waiting.values() for one in waiting):
            seconds = (rfc3339(step.received), rfc3339(step.answered))
            found = next((keys for second in seconds if (keys := shown.get((*step.key[:3], second)))), None)
            if found:
                step.key = found.pop(0)
            else:
                left.append(step)
        return left


def generate_name(name: str) -> str:
    """What the name was made from; "": it does not look generated."""
    found = GENERATED.match(name)
    return found["base"] if found else ""

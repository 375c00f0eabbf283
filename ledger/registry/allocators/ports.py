"""Node ports: one number for the whole cluster, from --service-node-port-range.

Which are taken follows from the Services, so they are counted when the server starts and with every commit from then
on. A port given out for a write under way is held until that write is committed or given up, so that two writes at the
same time never get the same one. The lower part of the range is left to ports that clients choose (KEP-3668).
Follows pkg/registry/core/service/portallocator in k8s.io/kubernetes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import orjson

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.log.api import Entry
from ledger.projections.api import View

SERVICES = GroupResource("", "services")
STATIC_MIN, STATIC_MAX, STATIC_STEP = 16, 128, 32
DRY_RUN_FIRST = 32769  # what a dry run shows for a port it would be given


class NoPort(Exception):
    """A port cannot be had; the text is the client's."""


class NodePorts:
    """`first` and `last` are both included; `below(n)` gives a random number from 0 to n - 1."""

    def __init__(self, first: int, last: int, below: Callable[[int], int]) -> None:
        self.first, self.last, self._below = first, last, below
        self._of: dict[Key, frozenset[int]] = {}
        self._used: Counter[int] = Counter()
        self._held: Counter[int] = Counter()

    def load(self, view: View) -> None:
        """Counts what the Services have now."""
        for stored in view.scan(SERVICES):
            self._note(stored.key, ports_of(orjson.loads(stored.body)))

    def follow(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            for change in entry.changes:
                if (change.key.group, change.key.resource) == SERVICES:
                    self._note(change.key, ports_of(orjson.loads(change.body)) if change.body else frozenset())

    def _note(self, key: Key, ports: frozenset[int]) -> None:
        self._used.subtract(self._of.pop(key, ()))
        if ports:
            self._of[key] = ports
            self._used.update(ports)

    def is_taken(self, port: int) -> bool:
        return self._used[port] > 0 or self._held[port] > 0


class PortClaim:
    """The ports one write takes; `end` gives back those that the write's commit has not made its own."""

    def __init__(self, ports: NodePorts, dry_run: bool) -> None:
        self._ports, self._dry_run = ports, dry_run
        self._taken: list[int] = []

    def take(self, port: int) -> None:
        """A port the client chose. Raises NoPort when it is taken or in no range."""
        ports = self._ports
        if not self._dry_run and not ports.first <= port <= ports.last:
            why = f"provided port is not in the valid range. The range of valid ports is {ports.first}-{ports.last}"
            raise NoPort(why)
        if ports.is_taken(port) or port in self._taken:
            raise NoPort("provided port is already allocated")
        self._hold(port)

    def take_any(self) -> int:
        """A free port. Raises NoPort when there is none."""
        if self._dry_run:
            port = max(self._taken, default=DRY_RUN_FIRST - 1) + 1
        else:
            port = self._free()
        self._hold(port)
        return port

    def end(self, committed: bool) -> None:
        """The write is over: what it made its own is in the index by now, the rest is free again."""
        if not self._dry_run:
            self._ports._held.subtract(self._taken)
        self._taken = []

    def _hold(self, port: int) -> None:
        self._taken.append(port)
        if not self._dry_run:
            self._ports._held[port] += 1

    def _free(self) -> int:
        ports = self._ports
        size = ports.last - ports.first + 1
        middle = ports.first + _static_part(size)
        for low, high in ((middle, ports.last), (ports.first, middle - 1)):
            count = high - low + 1
            if count > 0:
                start = ports._below(count)
                for step in range(count):
                    port = low + (start + step) % count
                    if not ports.is_taken(port):
                        return port
        raise NoPort("range is full")


def ports_of(service: Object) -> frozenset[int]:
    """Every node port a Service has, that of its health check included."""
    spec = service.get("spec") or {}
    found = [port.get("nodePort") for port in spec.get("ports") or ()]
    return frozenset(port for port in [*found, spec.get("healthCheckNodePort")] if port)


def _static_part(size: int) -> int:
    """How many ports at the beginning are left to those who choose (calculateRangeOffset)."""
    return 0 if size <= STATIC_MIN else min(max(size // STATIC_STEP, STATIC_MIN), STATIC_MAX)

"""Events live an hour after they were last written (--event-ttl of kube-apiserver), then they are deleted.

They stay in the log, of course: what happened then can still be asked of the past.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from ledger.apimachinery.resource import GroupResource, Key
from ledger.controllers.client import Client
from ledger.projections.api import Stored, View
from ledger.projections.watch import WatchItem

EVENTS = GroupResource("", "events")
TTL_S = 3600.0
LOOK_AGAIN_S = 10.0  # deletions are gathered: the state is an hour old anyway


class EventTtl:
    """`written_at(revision)` gives microseconds since 1970, None for what the log no longer knows."""

    name = "event-ttl-controller"

    def __init__(self, client: Client, written_at: Callable[[int], int | None], ttl_s: float = TTL_S) -> None:
        self.client, self._written_at, self._ttl_us = client, written_at, int(ttl_s * 1_000_000)
        self._written: deque[tuple[int, Key, int]] = deque()  # (when, key, revision), oldest first

    def begin(self, view: View) -> Iterable[str]:
        found = [(self._written_at(one.revision) or 0, one.key, one.revision) for one in view.scan(EVENTS)]
        self._written = deque(sorted(found, key=lambda entry: entry[2]))
        return ["expired"]

    def observe(self, item: WatchItem) -> Iterator[str]:
        if (item.key.group, item.key.resource) == EVENTS and item.change.body is not None:
            self._written.append((self.client.now(), item.key, item.revision))
            if len(self._written) == 1:
                yield "expired"

    async def sync(self, _thing: str) -> float | None:
        """Deletes what is too old; comes back when the next one is due."""
        expired: dict[str, list[Stored]] = {}
        now = self.client.now()
        with self.client.store.view() as view:
            while self._written and self._written[0][0] + self._ttl_us <= now:
                _, key, revision = self._written.popleft()
                stored = view.get(key)
                if stored is not None and stored.revision == revision:  # else it was written again since
                    expired.setdefault(key.namespace, []).append(stored)
        for namespace, events in expired.items():
            await self.client.delete_collection(self.client.gvr(EVENTS), namespace, events)
        if not self._written:
            return None
        return max((self._written[0][0] + self._ttl_us - now) / 1_000_000, LOOK_AGAIN_S)

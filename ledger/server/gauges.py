"""What /metrics asks of a running server: the log's head, the projections' checkpoints, how many objects there are."""

from __future__ import annotations

from collections.abc import Callable

from ledger.handlers.metrics import Gauge, Values
from ledger.log.refold import checkpoint
from ledger.projections.store import Store, folds
from ledger.scheme.scheme import Scheme


def gauges(store: Store, scheme: Callable[[], Scheme], in_flight: Callable[[], Values]) -> list[Gauge]:
    """`in_flight`: requests being answered, by ("readOnly",) and ("mutating",)."""

    def checkpoints() -> Values:
        with store.read() as read:
            return {(fold.name,): float(checkpoint(read, fold).position) for fold in folds(store.bodies)}

    def objects() -> Values:
        with store.view() as view:
            return {
                (definition.group, definition.resource): float(view.count(definition.group_resource))
                for definition in scheme().definitions.values()
                if definition.storage is None and "list" in definition.verbs
            }

    return [
        Gauge("ledger_log_revision", "Last revision of the log.", (), lambda: {(): float(store.head())}),
        Gauge("ledger_log_position", "Last event of the log.", (), lambda: {(): float(store.last_position())}),
        Gauge("ledger_projection_checkpoint", "Last event a projection holds.", ("projection",), checkpoints),
        Gauge("apiserver_resource_objects", "Objects in the store.", ("group", "resource"), objects),
        Gauge("apiserver_current_inflight_requests", "Requests being answered.", ("request_kind",), in_flight),
    ]

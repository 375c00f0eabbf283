"""/metrics: kube-apiserver's names where the meaning is the same, ledger_* for the log, its commits and projections.

Requests only add to plain dicts; prometheus-client turns them into text when somebody asks.
"""

from __future__ import annotations

import resource
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ledger.apimachinery.http import Request, Response
from ledger.log.api import Entry
from ledger.log.event import Event

# apiserver_request_duration_seconds in k8s.io/apiserver/pkg/endpoints/metrics
DURATION_BUCKETS_S = (
    0.005,
    0.025,
    0.05,
    0.1,
    0.2,
    0.4,
    0.6,
    0.8,
    1.0,
    1.25,
    1.5,
    2,
    3,
    4,
    5,
    6,
    8,
    10,
    15,
    20,
    30,
    45,
    60,
)
REQUEST_LABELS = ("code", "component", "dry_run", "group", "resource", "scope", "subresource", "verb", "version")
DURATION_LABELS = REQUEST_LABELS[1:]
_VERBS = {"get": "GET", "list": "LIST", "watch": "WATCH", "create": "POST", "update": "PUT", "patch": "PATCH",
          "delete": "DELETE", "deletecollection": "DELETECOLLECTION"}  # fmt: skip


SERIES_MAX = 4096
OTHER = ("apiserver", "", "", "other", "", "", "", "")
COMMIT_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # events in one commit
Values = Mapping[tuple[str, ...], float]


class Gauge(NamedTuple):
    """Asked when the page is: a value for each tuple of label values."""

    name: str
    about: str
    labels: tuple[str, ...]
    read: Callable[[], Values]


class Series:
    """Requests that have all labels but the code in common."""

    __slots__ = ("buckets", "codes", "seconds")

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.buckets = [0] * (len(DURATION_BUCKETS_S) + 1)
        self.seconds = 0.0


class Metrics:
    """Counts requests and commits; `gauges` are asked when the page is."""

    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self.gauges = gauges
        self.commit_sizes = [0.0] * (len(COMMIT_BUCKETS) + 1)
        self.events = self.changes = 0
        self.series: dict[tuple[str, ...], Series] = {}  # by DURATION_LABELS
        self.started = time.time()

    def observe(self, request: Request, code: int, seconds: float) -> None:
        """Called once a request, when it is answered."""
        info = request.info
        if info is None or not info.is_resource:
            labels = ("apiserver", "", "", "", "", "", request.method, "")
        else:
            scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
            dry_run = "All" if request.query and "dryRun=All" in request.query else ""
            verb = _VERBS.get(info.verb) or info.verb.upper()
            labels = ("apiserver", dry_run, info.group, info.resource, scope, info.subresource, verb, info.version)
        series = self.series.get(labels) or self._new_series(labels)
        series.codes[code] = series.codes.get(code, 0) + 1
        if labels[6] == "WATCH":
            return  # a watch is over when its client wants, which says nothing about this server
        series.buckets[bisect_left(DURATION_BUCKETS_S, seconds)] += 1
        series.seconds += seconds

    def observe_event(self, event: Event) -> None:
        """As `observe`, of what another process answered: a read, or a refusal."""
        group, version = event.api_group, event.api_version
        if not event.resource:
            labels = ("apiserver", "", "", "", "", "", event.verb.upper(), "")
        else:
            scope = "resource" if event.name else "namespace" if event.namespace else "cluster"
            verb = _VERBS.get(event.verb) or event.verb.upper()
            labels = ("apiserver", "", group, event.resource, scope, event.subresource, verb, version)
        series = self.series.get(labels) or self._new_series(labels)
        series.codes[event.code] = series.codes.get(event.code, 0) + event.count
        if labels[6] != "WATCH":
            seconds = (event.answered - event.received) / 1e6
            series.buckets[bisect_left(DURATION_BUCKETS_S, seconds)] += event.count
            series.seconds += seconds * event.count

    def _new_series(self, labels: tuple[str, ...]) -> Series:
        if len(self.series) >= SERIES_MAX:
            labels = OTHER  # paths are the clients' to make up: they must not fill our memory
        return self.series.setdefault(labels, Series())

    def committed(self, entries: Sequence[Entry]) -> None:
        """A log listener: counts the changes of a commit."""
        self.changes += sum([len(entry.changes) for entry in entries])

    def counted(self, events: int) -> None:
        """The same of its events."""
        self.commit_sizes[bisect_left(COMMIT_BUCKETS, events)] += 1
        self.events += events

    def collect(self) -> Iterator[Any]:
        """The metric families, as prometheus-client wants them of a collector."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        total = CounterMetricFamily(
            "apiserver_request_total", "Requests by what they asked for.", labels=REQUEST_LABELS
        )
        for labels, series in self.series.items():
            for code, count in series.codes.items():
                total.add_metric((str(code), *labels), count)
        yield total
        duration = HistogramMetricFamily(
            "apiserver_request_duration_seconds", "Seconds until the answer, watches aside.", labels=DURATION_LABELS
        )
        for labels, series in self.series.items():
            duration.add_metric(labels, _cumulative(DURATION_BUCKETS_S, series.buckets), series.seconds)
        yield duration
        commits = HistogramMetricFamily("ledger_log_commit_events", "Events that shared one durable commit.")
        commits.add_metric((), _cumulative(COMMIT_BUCKETS, self.commit_sizes), float(self.events))
        yield commits
        yield CounterMetricFamily("ledger_log_events_total", "Events appended to the log.", self.events)
        yield CounterMetricFamily("ledger_log_changes_total", "Changes of objects appended to the log.", self.changes)
        for gauge in self.gauges:
            family = GaugeMetricFamily(gauge.name, gauge.about, labels=gauge.labels)
            for names, value in gauge.read().items():
                family.add_metric(names, value)
            yield family
        usage = resource.getrusage(resource.RUSAGE_SELF)
        yield CounterMetricFamily("process_cpu_seconds_total", "CPU time used.", usage.ru_utime + usage.ru_stime)
        yield GaugeMetricFamily("process_start_time_seconds", "When the process began.", self.started)
        yield GaugeMetricFamily("process_resident_memory_bytes", "Resident memory.", resident_bytes())

    async def __call__(self, request: Request) -> Response:
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)  # type: ignore[arg-type]
        content_type = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
        return Response(200, [("content-type", content_type)], generate_latest(registry))


def _cumulative(bounds: Sequence[float], counts: Sequence[float]) -> list[tuple[str, float]]:
    pairs, total = [], 0.0
    for bound, count in zip([*(f"{bound:g}" for bound in bounds), "+Inf"], counts, strict=True):
        total += count
        pairs.append((bound, total))
    return pairs


def resident_bytes() -> int:
    """Resident memory now; 0 where /proc does not tell."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0

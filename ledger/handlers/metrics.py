"""/metrics: kube-apiserver's names where the meaning is the same, ledger_* for the log, its commits and projections.

Requests only add to plain dicts; prometheus-client turns them into text when somebody asks.
"""

from __future__ import annotations

import resource
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ledger.apimachinery.http import Request, Response

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


class Metrics:
    """Counts requests; `gauges` are asked when the page is: name -> (help, function)."""

    def __init__(self, gauges: Mapping[str, tuple[str, Callable[[], float]]]) -> None:
        self.gauges = gauges
        self.requests: dict[tuple[str, ...], int] = {}
        self.durations: dict[tuple[str, ...], list[float]] = {}  # buckets, the sum last
        self.started = time.time()

    def observe(self, request: Request, code: int, seconds: float) -> None:
        """Called once a request, when it is answered."""
        info = request.info
        if info is None or not info.is_resource:
            labels = ("apiserver", "", "", "", "", "", request.method, "")
        else:
            scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
            dry_run = "All" if "dryRun=All" in request.query else ""
            verb = _VERBS.get(info.verb, info.verb.upper())
            labels = ("apiserver", dry_run, info.group, info.resource, scope, info.subresource, verb, info.version)
        key = (str(code), *labels)
        self.requests[key] = self.requests.get(key, 0) + 1
        if labels[6] == "WATCH":
            return  # a watch is over when its client wants, which says nothing about this server
        buckets = self.durations.get(labels)
        if buckets is None:
            buckets = self.durations[labels] = [0.0] * (len(DURATION_BUCKETS_S) + 2)
        buckets[bisect_left(DURATION_BUCKETS_S, seconds)] += 1
        buckets[-1] += seconds

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
        for key, count in self.requests.items():
            total.add_metric(key, count)
        yield total
        duration = HistogramMetricFamily(
            "apiserver_request_duration_seconds", "Seconds until the answer, watches aside.", labels=DURATION_LABELS
        )
        for labels, values in self.durations.items():
            duration.add_metric(labels, _cumulative(values[:-1]), values[-1])
        yield duration
        for name, (about, read) in self.gauges.items():
            yield GaugeMetricFamily(name, about, read())
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


def _cumulative(counts: list[float]) -> list[tuple[str, float]]:
    pairs, total = [], 0.0
    for bound, count in zip([*map(str, DURATION_BUCKETS_S), "+Inf"], counts, strict=True):
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

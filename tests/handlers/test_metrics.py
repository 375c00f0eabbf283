"""/metrics: what was asked is counted by what it asked for, in bounded memory."""

from __future__ import annotations

import trio

from ledger.apimachinery.http import Headers, Request, User
from ledger.handlers.metrics import SERIES_MAX, Gauge, Metrics
from ledger.log.api import Entry
from ledger.log.event import Event
from ledger.pipeline.requestinfo import request_info


def asked(line: str) -> Request:
    method, path = line.split()

    async def no_body() -> bytes:
        return b""

    request = Request(method, path, "", Headers(), no_body)
    request.info = request_info(method, path, "")
    return request


def page(metrics: Metrics) -> str:
    return trio.run(metrics, asked("GET /metrics")).body.decode()


def test_requests_are_counted_by_verb_resource_scope_and_code() -> None:
    metrics = Metrics([])
    for code in (200, 200, 404):
        metrics.observe(asked("GET /api/v1/namespaces/ns/pods/a"), code, 0.003)
    shown = page(metrics)
    labels = 'component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="",verb="GET",version="v1"'
    assert f'apiserver_request_total{{code="200",{labels}}} 2.0' in shown
    assert f'apiserver_request_total{{code="404",{labels}}} 1.0' in shown
    assert f"apiserver_request_duration_seconds_count{{{labels}}} 3.0" in shown


def test_what_another_process_answered_is_counted_alike() -> None:
    here, told = Metrics([]), Metrics([])
    for method, path in (("GET", "/api/v1/namespaces/ns/pods/a"), ("GET", "/api/v1/watch/pods"), ("GET", "/apis")):
        info = request_info(method, path, "")
        here.observe(asked(f"{method} {path}"), 200, 0.003)
        event = Event("id", 1_000, 4_000, info.verb, path, User("u"), 200)
        event.api_version, event.resource = info.version, info.resource
        event.namespace, event.name = info.namespace, info.name
        told.observe_event(event)
    assert told.series.keys() == here.series.keys()
    assert [one.buckets for one in told.series.values()] == [one.buckets for one in here.series.values()]
    assert [one.codes for one in told.series.values()] == [one.codes for one in here.series.values()]


def test_made_up_paths_do_not_fill_the_memory() -> None:
    metrics = Metrics([])
    for number in range(SERIES_MAX + 100):
        metrics.observe(asked(f"GET /api/v1/nonsense{number}"), 404, 0.001)
    assert len(metrics.series) == SERIES_MAX + 1
    assert 'resource="other"' in page(metrics)


def test_commits_and_gauges_are_told() -> None:
    metrics = Metrics([Gauge("ledger_log_revision", "Last revision.", (), lambda: {(): 7.0})])
    event = Event("a", 0, 0, "get", "/", User("u"), 200)
    metrics.committed([Entry(event, ()), Entry(event, ())])
    metrics.counted(2)
    shown = page(metrics)
    assert 'ledger_log_commit_events_bucket{le="2"} 1.0' in shown
    assert "ledger_log_events_total 2.0" in shown
    assert "ledger_log_revision 7.0" in shown

"""Pieces that many rules are made of, and rules recorded nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.scheme.strategies.validation.addresses import cidr, endpoint_ip, ip_address, strict_cidr
from ledger.scheme.strategies.validation.batch_status import indexes
from ledger.scheme.strategies.validation.common import int_or_percent, selector_fails, selects, signer_name
from ledger.scheme.strategies.validation.cron import location_error, schedule_error
from ledger.scheme.strategies.validation.declarative import validate_declared
from ledger.scheme.strategies.validation.diffs import go_diff, go_value
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.pem import blocks, key_pair_error, request_error
from tests.scheme.strategies.playing import create, update


@pytest.mark.parametrize(
    "schedule, error",
    [
        ("*/5 * * * *", ""),
        ("0 0 1 jan sun", ""),
        ("@every 1h30m", ""),
        ("TZ=UTC @daily", ""),
        ("* * *", "expected exactly 5 fields, found 3: [* * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@sometimes", "unrecognized descriptor: @sometimes"),
        ("@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'),
        ("@every 5", 'failed to parse duration @every 5: time: missing unit in duration "5"'),
        ("@every 5d", 'failed to parse duration @every 5d: time: unknown unit "d" in duration "5d"'),
        ("TZ=UTC", "invalid schedule format: runtime error: slice bounds out of range [:-1]"),
        ("TZ=/etc * * * * *", "provided bad location /etc: time: invalid location name"),
    ],
)
def test_schedules(schedule: str, error: str) -> None:
    assert schedule_error(schedule) == error


def test_time_zones() -> None:
    assert location_error("Europe/Berlin") == location_error("UTC") == ""
    assert location_error("Nowhere/Else") == "unknown time zone Nowhere/Else"


@pytest.mark.parametrize(
    "text, count, error",
    [
        ("", 0, ""),
        ("0,2-4", 4, ""),
        ("4-2", 0, "non-increasing order, previous: 4, current: 2"),
        ("3,1", 0, "non-increasing order, previous: 3, current: 1"),
        ("9", 0, 'too large index: "9"'),
        ("a", 0, 'cannot convert string to integer for index: "a"'),
    ],
)
def test_indexes_of_a_job(text: str, count: int, error: str) -> None:
    assert indexes(text, 5) == (count, error)


@pytest.mark.parametrize(
    "rule, text, complaints",
    [
        (ip_address, "10.0.0.1", []),
        (ip_address, "10.0.0.01", ["must not have leading 0s"]),
        (ip_address, "::ffff:10.0.0.1", ["must not be an IPv4-mapped IPv6 address"]),
        (ip_address, "x", ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]),
        (cidr, "10.0.0.0/8", []),
        (cidr, "10.0.0.1/8", ["must not have bits set beyond the prefix length"]),
        (cidr, "10.0.0.0/08", ["must not have leading 0s in IP or prefix length"]),
        (strict_cidr, "2001:0db8::/64", ['must be in canonical form ("2001:db8::/64")']),
        (endpoint_ip, "127.0.0.1", ["may not be in the loopback range (127.0.0.0/8, ::1/128)"]),
        (endpoint_ip, "0.0.0.0", ["may not be unspecified (0.0.0.0)"]),
        (signer_name, "a.b/c", []),
        (signer_name, "a", ["must be a fully qualified domain and path of the form 'example.com/signer-name'"]),
        (signer_name, "a/b", ["should be a domain with at least two segments separated by dots"]),
    ],
)
def test_shared_rules(rule: Any, text: str, complaints: list[str]) -> None:
    found = Findings()
    rule(found, "here", text)
    assert [error.detail for error in found] == complaints


def test_amounts_that_are_numbers_or_shares() -> None:
    found = Findings()
    for value in (1, "50%", -1, "x"):
        int_or_percent(found, "here", value)
    assert [error.value for error in found] == [-1, "x"]


def test_selectors() -> None:
    wanted = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["d"]}]}
    assert selects(wanted, {"a": "b"})
    assert not selects(wanted, {"a": "b", "c": "d"})
    assert selects({}, {})
    assert not selects(None, {})
    assert selector_fails({"matchExpressions": [{"key": "a", "operator": "In"}]})
    assert not selector_fails(wanted)


def test_internal_types_are_shown_with_their_own_names() -> None:
    assert go_value("rbac.RoleRef", {"kind": "Role"}) == {"APIGroup": "", "Kind": "Role", "Name": ""}
    before, after = [{"type": "A", "status": "True"}], [{"type": "A", "status": "False"}]
    diff = go_diff("[]certificates.CertificateSigningRequestCondition", before, after)
    assert '-  "Status": "True",\n+  "Status": "False",' in diff


def test_declared_rules() -> None:
    scale = {"spec": {"replicas": -1}}
    assert [str(error) for error in validate_declared("autoscaling/v1", "Scale", scale, None)] == [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    ]
    kept = {"handler": "old"}
    changed = validate_declared("node.k8s.io/v1", "RuntimeClass", {"handler": "new"}, kept)
    assert [str(error) for error in changed] == ["handler: Invalid value: null: field is immutable"]
    assert validate_declared("node.k8s.io/v1", "RuntimeClass", kept, kept) == []


def test_a_rule_that_declared_ones_hide_still_speaks() -> None:
    """Of a name that is gone the declared rules say only that its parent changed."""
    bound = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    stored = {"metadata": {"name": "b", "resourceVersion": "1"}, "roleRef": bound}
    changed = {"metadata": {"name": "b", "resourceVersion": "1"}, "roleRef": bound | {"name": ""}}
    texts = update("rbac.authorization.k8s.io/rolebindings", changed, stored).texts
    assert texts[0] == "roleRef.name: Required value"


def test_nothing_is_said_twice() -> None:
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "D", "name": "d"}, "maxReplicas": 1}
    spec["metrics"] = [{"type": "Nope"}]
    texts = create("autoscaling/horizontalpodautoscalers", {"metadata": {"name": "h"}, "spec": spec}, "v2").texts
    assert len(texts) == 1


@pytest.mark.parametrize(
    "change, text",
    [
        ({"type": "LoadBalancer"}, None),
        ({"clusterIP": "10.0.0.7"}, "spec.clusterIPs[0]: Invalid value"),
    ],
)
def test_services_keep_their_address(change: Any, text: str | None) -> None:
    spec = {"type": "ClusterIP", "ports": [{"port": 80}], "clusterIP": "10.0.0.5", "clusterIPs": ["10.0.0.5"]}
    spec |= {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
    stored = {"metadata": {"name": "s", "resourceVersion": "1"}, "spec": spec}
    changed = {"metadata": {"name": "s", "resourceVersion": "1"}, "spec": spec | change}
    if "clusterIP" in change:
        changed["spec"]["clusterIPs"] = [change["clusterIP"]]
    texts = update("services", changed, stored).texts
    assert not texts if text is None else any(one.startswith(text) for one in texts)


def test_pem() -> None:
    assert request_error(b"nothing") == "PEM block type must be CERTIFICATE REQUEST"
    text = b"before\n-----BEGIN X-----\nYQ==\n-----END X-----\n-----BEGIN Y-----\nA: b\n\nYg==\n-----END Y-----\n"
    assert [(one.type, one.has_headers, one.content) for one in blocks(text)] == [("X", False, b"a"), ("Y", True, b"b")]
    assert key_pair_error(b"", b"") == "tls: failed to find any PEM data in certificate input"

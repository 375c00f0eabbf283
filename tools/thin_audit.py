#!/usr/bin/env python
"""Makes of a full audit log what a thinner policy would have left of it, to see what an import still tells.

    tools/run python tools/thin_audit.py --policy audit-policy.yaml [--max-event-bytes N] audit.jsonl.gz... > thin.jsonl

The policy is an audit.k8s.io/v1 Policy: the first rule that matches a request gives its level, as in kube-apiserver
(k8s.io/apiserver/pkg/audit/policy). With --max-event-bytes, events that are larger lose both bodies, as the truncating
backends do to them (max-event-size). The log must hold more than the policy lets through: nothing is made up.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import yaml

from ledger.apimachinery.resource import Object
from ledger.replay.importer.lines import RawRecord, read_records

LEVELS = ("None", "Metadata", "Request", "RequestResponse")


def thinned(records: Iterator[RawRecord], policy: Object, bytes_max: int = 0) -> Iterator[RawRecord]:
    """The records that the policy lets through, without what it leaves out."""
    for record in records:
        rule = next((one for one in policy["rules"] if matches(one, record)), {"level": "None"})
        level = min(rule["level"], record["level"], key=LEVELS.index)
        omitted = {*policy.get("omitStages", ()), *rule.get("omitStages", ())}
        if level == "None" or record["stage"] in omitted:
            continue
        bare = rule.get("omitManagedFields", policy.get("omitManagedFields", False))
        yield truncated(at_level(record, level, bare), bytes_max)


def at_level(record: RawRecord, level: str, bare: bool) -> RawRecord:
    thin = {**record, "level": level}
    if level in ("None", "Metadata"):
        thin.pop("requestObject", None)
    if level != "RequestResponse":
        thin.pop("responseObject", None)
    for name in ("requestObject", "responseObject") if bare else ():
        if name in thin:
            thin[name] = without_managed_fields(thin[name])
    return thin


def without_managed_fields(body: object) -> object:
    if not isinstance(body, dict):
        return body
    found = dict(body)
    if isinstance(found.get("metadata"), dict):
        found["metadata"] = {name: one for name, one in found["metadata"].items() if name != "managedFields"}
    if isinstance(found.get("items"), list):
        found["items"] = [without_managed_fields(item) for item in found["items"]]
    return found


def truncated(record: RawRecord, bytes_max: int) -> RawRecord:
    if not bytes_max or len(orjson.dumps(record)) <= bytes_max:
        return record
    thin = {name: value for name, value in record.items() if name not in ("requestObject", "responseObject")}
    return {**thin, "annotations": {**(record.get("annotations") or {}), "audit.k8s.io/truncated": "true"}}


def matches(rule: Object, record: RawRecord) -> bool:
    """Whether a policy's rule is about this request."""
    user = record.get("user") or {}
    reference = record.get("objectRef") or {}
    if rule.get("users") and user.get("username") not in rule["users"]:
        return False
    if rule.get("userGroups") and not set(rule["userGroups"]) & set(user.get("groups") or ()):
        return False
    if rule.get("verbs") and record["verb"] not in rule["verbs"]:
        return False
    if rule.get("namespaces") and reference.get("namespace", "") not in rule["namespaces"]:
        return False
    if rule.get("resources"):
        return any(_of_group(one, reference) for one in rule["resources"]) if reference else False
    if rule.get("nonResourceURLs"):
        path = record["requestURI"].partition("?")[0]
        return not reference and any(_url_matches(pattern, path) for pattern in rule["nonResourceURLs"])
    return True


def _of_group(rule: Object, reference: Object) -> bool:
    if rule.get("group", "") != reference.get("apiGroup", ""):
        return False
    if not rule.get("resources"):
        return True
    if rule.get("resourceNames") and reference.get("name", "") not in rule["resourceNames"]:
        return False
    resource, subresource = reference.get("resource", ""), reference.get("subresource", "")
    combined = f"{resource}/{subresource}" if subresource else resource
    accepted = {"*", combined, f"{resource}/*" if subresource else combined, f"*/{subresource}"}
    return bool(accepted & set(rule["resources"]))


def _url_matches(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="AUDIT.jsonl[.gz]")
    parser.add_argument("--policy", required=True, type=Path)
    parser.add_argument("--max-event-bytes", type=int, default=0, metavar="N")
    options = parser.parse_args()
    policy = yaml.safe_load(options.policy.read_text())
    records = (located.record for located in read_records(options.files, []))
    for record in thinned(records, policy, options.max_event_bytes):
        sys.stdout.buffer.write(orjson.dumps(record) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the EndpointSlice controller writes, from a service and its pods alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger.replay.importer.slices import CONTROLLER, SERVICE_NAME, TRIGGERED, after_slice_write
from tests.replay.recording import Recording, obj

AGENT = (
    f"kube-controller-manager/v1.37.2 (linux/amd64) kubernetes/$Format/system:serviceaccount:kube-system{CONTROLLER}"
)
SERVICE = obj("services", "web", 3, spec={"selector": {"app": "web"}})
ZONES = {"n": "zone-a"}


def pod(name: str, ip: str = "10.0.0.1", ready: bool = True, since: str = "", **meta: Any) -> dict[str, Any]:
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": since or "2025-11-22T21:16:01Z"}
    status = {"phase": "Running", "podIP": ip, "conditions": [condition]}
    return obj("pods", name, 5, meta={"labels": {"app": "web"}, **meta}, spec={"nodeName": "n"}, status=status)


def written(old: dict[str, Any], *pods: dict[str, Any], seen: dict[str, str] | None = None) -> dict[str, Any]:
    return after_slice_write(old, SERVICE, pods, ZONES, {} if seen is None else seen)


def endpoints(of: dict[str, Any]) -> list[str]:
    return [
        one["targetRef"]["name"] + "".join(f" {name}" for name, yes in one["conditions"].items() if yes)
        for one in of["endpoints"]
    ]


def a_slice(**meta: Any) -> dict[str, Any]:
    return obj("endpointslices", "web-x", 4, meta={"generation": 1, "labels": {SERVICE_NAME: "web"}, **meta})


def test_endpoints_keep_their_places_and_new_ones_come_last() -> None:
    first = written(a_slice(), pod("b", "10.0.0.2"))
    second = written(first, pod("a", "10.0.0.1"), pod("b", "10.0.0.2"))
    assert endpoints(second) == ["b ready serving", "a ready serving"]
    assert second["metadata"]["generation"] == 3
    assert second["endpoints"][0] == {
        "addresses": ["10.0.0.2"],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "targetRef": {"kind": "Pod", "namespace": "shop", "name": "b", "uid": "uid-b"},
        "nodeName": "n",
        "zone": "zone-a",
    }


def test_pods_that_end_serve_on_until_they_have_ended() -> None:
    ending = pod("a", deletionTimestamp="2025-11-22T21:16:09Z")
    assert endpoints(written(a_slice(), ending, pod("b", ready=False))) == ["a serving terminating", "b"]
    ended = pod("a")
    ended["status"]["phase"] = "Succeeded"
    other = pod("c")
    other["metadata"]["labels"] = {"app": "other"}
    assert endpoints(written(a_slice(), ended, other, pod("d", ip=""))) == []


def test_the_trigger_is_the_first_readiness_that_changed_since_the_write_before() -> None:
    seen: dict[str, str] = {}
    old = a_slice(annotations={TRIGGERED: "2025-11-22T21:16:05Z"})
    old_one, new_one = pod("a", since="2025-11-22T21:16:04Z"), pod("b", since="2025-11-22T21:16:07Z")
    first = written(old, old_one, new_one, seen=seen)
    assert first["metadata"]["annotations"] == {TRIGGERED: "2025-11-22T21:16:07Z"}
    old_one["metadata"]["deletionTimestamp"] = "2025-11-22T21:16:09Z"
    assert "annotations" not in written(first, old_one, new_one, seen=seen)["metadata"], "no readiness changed"


def test_an_import_concludes_a_slice_whose_content_is_not_logged(tmp_path: Path) -> None:
    log = Recording()
    log.create(SERVICE)
    log.create(a_slice())
    log.create(pod("a"))
    log.add("update", "endpointslices", "web-x", level="Metadata", userAgent=AGENT)
    found = log.imported(tmp_path)
    shown = found.show("endpointslices", "web-x")
    assert shown is not None and endpoints(shown) == ["a ready serving"]
    assert found.changes[-1].doubts == ("endpoints", "metadata.annotations")

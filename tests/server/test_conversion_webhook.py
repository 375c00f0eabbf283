"""Conversion webhooks and the past: what cannot be converted any more is refused, never shown wrongly."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.served import Served
from tests.webhook_play import until_served
from tests.webhook_scenes import CRDS, HOOKS, Step, host, hosts
from tests.webhook_server import WebhookServer

GROUP = "past.example.com"
COLLECTION = "namespaces/default/hosts"


class Asking:
    """What `until_served` needs of a player."""

    def __init__(self, served: Served) -> None:
        self.served = served

    def perform(self, step: Step, body: object) -> dict[str, object]:
        status, found = self.served.ask(step.line, body)
        return {"status": status, "body": found}


def test_the_past_is_converted_while_there_is_a_webhook_and_refused_afterwards(tmp_path: Path) -> None:
    with Served(tmp_path / "data", "--controllers", "none") as served:
        with WebhookServer(tmp_path / "hook") as hook:
            hook.answers["/convert"] = HOOKS["/convert"]
            text = json.dumps(hosts(GROUP, "/convert")).replace("SERVER", f"https://127.0.0.1:{hook.port}")
            crd = json.loads(text.replace('"CA"', json.dumps(base64.b64encode(hook.ca).decode())))
            assert served.ask(f"POST {CRDS}", crd)[0] == 201
            until_served(Asking(served), Step(f"POST {CRDS}", crd))  # type: ignore[arg-type]
            status, made = served.ask(f"POST /apis/{GROUP}/v1/{COLLECTION}", host(GROUP, "a", hostPort="h:1"))
            assert status == 201
            then = made["metadata"]["resourceVersion"]
            patch = {"hostPort": "h:2"}
            headers = {"Content_Type": "application/merge-patch+json"}
            assert served.ask(f"PATCH /apis/{GROUP}/v1/{COLLECTION}/a", patch, **headers)[0] == 200
            status, found = served.ask(f"GET /at/{then}/apis/{GROUP}/v2/{COLLECTION}/a")
            assert (status, found["host"], found["port"]) == (200, "h", "1")
            status, found = served.ask(f"GET /at/{then}/apis/{GROUP}/v2/{COLLECTION}")
            assert (status, [one["port"] for one in found["items"]]) == (200, ["1"])
        status, found = served.ask(f"GET /at/{then}/apis/{GROUP}/v2/{COLLECTION}/a")
        assert (status, found["kind"], found["reason"]) == (500, "Status", "InternalError")
        assert f"conversion webhook for {GROUP}/v1, Kind=Host failed: Post " in found["message"]
        status, found = served.ask(f"GET /at/{then}/apis/{GROUP}/v2/{COLLECTION}")
        assert (status, found["kind"]) == (500, "Status")
        status, found = served.ask(f"GET /at/{then}/apis/{GROUP}/v1/{COLLECTION}/a")
        assert (status, found["hostPort"]) == (200, "h:1"), "the version it was stored in needs nobody"

"""Plays scenes on a server and writes down what came back, with everything that differs from run to run made alike."""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from tests.webhook_scenes import CRDS, SCENES, SETUP, Object, Step
from tests.webhook_server import WebhookServer

_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_REVISION = re.compile(r"revision=\d+")
_SUFFIX = re.compile(r"made-[a-z0-9]{5}")
# Written by controllers of the one server or the other, or counted differently.
_DROPPED = ("resourceVersion", "continue", "remainingItemCount", "token", "authentication.kubernetes.io/credential-id")


class Player:
    """One server. `settle` waits until a change has taken effect."""

    def __init__(self, url: str, token: str, settle: Callable[[Player, Step], None]) -> None:
        parts = urlsplit(url)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        assert parts.hostname
        self.connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=40, context=context)
        self.token, self.settle = token, settle

    def perform(self, step: Step, filled: Any) -> Object:
        method, path = step.line.split()
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json", "user-agent": "scene/1"}
        self.connection.request(method, path, None if filled is None else json.dumps(filled), headers | step.headers)
        response = self.connection.getresponse()
        raw = response.read()
        if step.settles:
            self.settle(self, step)
        is_json = "json" in (response.getheader("content-type") or "")
        return {
            "status": response.status,
            "warning": response.headers.get_all("warning") or [],
            "body": _decoded(raw, "watch=1" in path) if is_json else raw.decode(),
        }


def until_served(player: Player, step: Step) -> None:
    """For a server on which all but definitions takes effect at once."""
    if "customresourcedefinitions" in step.line and step.line.startswith("POST"):
        name = step.body["metadata"]["name"]
        for _ in range(1000):
            found = player.perform(Step(f"GET {CRDS}/{name}"), None)["body"]
            conditions = (found.get("status") or {}).get("conditions") or ()
            if any(one["type"] == "Established" and one["status"] == "True" for one in conditions):
                return


def play(player: Player, server: WebhookServer, titles: Iterable[str]) -> dict[str, list[Object]]:
    """By scene, for each step: its line, status, warnings, body, and the reviews it led to."""
    for step in SETUP:
        player.perform(step, step.body)
    return {title: [_play(player, server, step) for step in SCENES[title]] for title in titles}


def _play(player: Player, server: WebhookServer, step: Step) -> Object:
    server.asked.clear()
    text = json.dumps(step.body).replace("SERVER", f"https://127.0.0.1:{server.port}")
    ca = base64.b64encode(server.ca).decode()
    filled = json.loads(text.replace('"CA"', json.dumps(ca)))
    answer = player.perform(step, filled)
    asked = sorted(server.asked, key=lambda one: one[0]) if "validating" in step.line else list(server.asked)
    asked = [
        one for one in asked if not one[0].startswith("/convert")
    ]  # upstream asks about each object, we about many
    found = alike({"line": step.line, **answer, "asked": sorted(map(list, asked), key=lambda one: one[0])})
    text = json.dumps(found).replace(f"127.0.0.1:{server.port}", "SERVER").replace(ca, "CA")
    result: Object = json.loads(text)
    return result


def _decoded(raw: bytes, frames: bool) -> Any:
    return [json.loads(line) for line in raw.splitlines()] if frames else json.loads(raw)


def alike(value: Any) -> Any:
    """Without what no two runs have in common."""
    if isinstance(value, dict):
        if value.get("kind") == "Scale" and "spec" in value:
            value = {"kind": "Scale", "name": value["metadata"]["name"], "spec": value["spec"]}
        return {key: alike(one) for key, one in value.items() if key not in _DROPPED}
    if isinstance(value, list) and value and isinstance(value[0], dict) and "fieldsV1" in value[0]:
        return sorted(({**alike(one), "time": ""} for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    if isinstance(value, list):
        return [alike(one) for one in value]
    if isinstance(value, str):
        value = _REVISION.sub("revision=N", value)
        return _SUFFIX.sub("made-SUFFIX", _TIME.sub("TIME", _UID.sub("UID", value)))
    return value

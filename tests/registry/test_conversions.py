"""Versions that a webhook makes: asked for when they are needed, together where they can be, and forgotten afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio

from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import StatusError
from ledger.outbound.client import Answer, Timeout
from ledger.outbound.endpoint import Endpoint
from ledger.registry.conversions import BATCH_MAX, Conversions
from ledger.registry.custom import Customs
from ledger.scheme.definition import ResourceDefinition
from tests.registry.test_custom import V1, V2, definition, widget

WEBHOOK = {"clientConfig": {"url": "https://hook.io/convert"}, "conversionReviewVersions": ["v1"]}
ASKED = definition(V1, V2, conversion={"strategy": "Webhook", "webhook": WEBHOOK})


class Hook:
    """In the place of the HTTPS client: `sizes` are the numbers of objects of each question."""

    def __init__(self, convert: Callable[[Object], Object] = lambda obj: obj) -> None:
        self.convert = convert
        self.sizes: list[int] = []

    async def post(self, endpoint: Endpoint, body: bytes, timeout: Timeout, bytes_max: int) -> Answer:
        review = json.loads(body)
        request = review["request"]
        self.sizes.append(len(request["objects"]))
        made = [{**self.convert(one), "apiVersion": request["desiredAPIVersion"]} for one in request["objects"]]
        response = {"uid": request["uid"], "convertedObjects": made, "result": {"status": "Success"}}
        return Answer(200, "application/json", json.dumps({**review, "response": response}).encode())


def run(customs: Customs, asked: ResourceDefinition, objects: list[Object], ahead: bool = False) -> list[Object]:
    """The objects as v2 shows them."""
    version = asked.versions["v2"]

    def show() -> list[Object]:
        return [customs.from_storage(asked, version, {**one}) for one in objects]

    def known() -> Any:
        return customs.unconverted(asked, version, [{**one} for one in objects]) if ahead else ()

    found: list[Object] = trio.run(customs.conversions.run, asked, show, known)
    return found


def test_what_a_webhook_makes_is_held_to_the_schema_of_its_version() -> None:
    hook = Hook(lambda obj: {**obj, "spec": {"a": obj["spec"]["a"].upper(), "unknown": "x"}})
    customs = Customs(Conversions(hook, lambda: "u"))  # type: ignore[arg-type]
    assert run(customs, ASKED, [widget(spec={"a": "x"})]) == [widget("v2", spec={"a": "X"})]


def test_a_list_is_asked_for_together() -> None:
    hook = Hook()
    customs = Customs(Conversions(hook, lambda: "u"))  # type: ignore[arg-type]
    objects = [widget(spec={"a": str(number)}) for number in range(BATCH_MAX + 2)]
    assert len(run(customs, ASKED, objects, ahead=True)) == BATCH_MAX + 2
    assert hook.sizes == [BATCH_MAX, 2]


def test_what_is_not_foreseen_is_asked_for_when_it_is_needed_and_every_time_anew() -> None:
    hook = Hook()
    customs = Customs(Conversions(hook, lambda: "u"))  # type: ignore[arg-type]
    objects = [widget(spec={"a": "1"}), widget(spec={"a": "2"}), widget(spec={"a": "1"})]
    run(customs, ASKED, objects)
    assert hook.sizes == [1, 1]
    run(customs, ASKED, objects)
    assert hook.sizes == [1, 1, 1, 1]


def test_nobody_is_asked_for_what_needs_no_webhook() -> None:
    hook = Hook()
    customs = Customs(Conversions(hook, lambda: "u"))  # type: ignore[arg-type]
    run(customs, definition(V1, V2), [widget(spec={"a": "x"})])
    same = widget("v2", spec={"a": "x"})
    run(customs, ASKED, [same])
    assert hook.sizes == []


@pytest.mark.parametrize("conversions", [Conversions(), Conversions(None)])
def test_a_server_that_calls_no_webhooks_says_so(conversions: Conversions) -> None:
    with pytest.raises(
        StatusError, match=r"conversion webhook for x\.example/v1, Kind=Widget failed: this server only reads"
    ):
        run(Customs(conversions), ASKED, [widget(spec={"a": "x"})])

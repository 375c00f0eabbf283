"""Webhooks in the chain: what the scenes of tests/server do not show, because it is seen only from inside."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio

from ledger.admission.chain import Chain, default_plugins, without_webhooks
from ledger.admission.followed import GROUP
from ledger.admission.policies.hooks import Server as PolicyServer
from ledger.admission.policies.index import Policies
from ledger.admission.webhooks.index import MUTATING, VALIDATING, Webhooks
from ledger.admission.webhooks.matching import Server
from ledger.apimachinery.resource import GVR, Key, Object
from ledger.apimachinery.status import StatusError
from ledger.auth.authorizers import always_allow
from ledger.log.event import Event
from ledger.outbound.client import Answer, Client, Timeout
from ledger.outbound.endpoint import Endpoint, ServicePort
from ledger.outbound.refusal import CallFailed
from ledger.outbound.services import Address
from ledger.registry.cluster import Cluster
from ledger.registry.service_addresses import address_of
from tests.controllers.ledger import CONFIG_MAPS, NAMESPACES, Ledger
from tests.webhook_scenes import add, once, patched

SERVICES, SLICES = GVR("", "v1", "services"), GVR("discovery.k8s.io", "v1", "endpointslices")
ENDPOINTS = GVR("", "v1", "endpoints")
RULES = [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["configmaps"], "scope": "*"}]
Respond = Callable[[Object], Any]


class Hooked(Ledger):
    """A ledger whose webhooks are functions: `responds` by URL path; `asked` counts the calls by path."""

    def __init__(self, tmp: Path) -> None:
        super().__init__(tmp)
        self.responds: dict[str, Respond] = {}
        self.asked: list[str] = []
        webhooks, policies = Webhooks(), Policies()
        self.store.engine.subscribe(webhooks.follow)
        self.store.engine.subscribe(policies.follow)
        numbers = itertools.count(1)
        server = Server(
            webhooks, lambda: self.scheme, self.registry.behaviour, always_allow, self,  # type: ignore[arg-type]
            lambda: f"review-{next(numbers)}", self.store.view, without_webhooks,
        )  # fmt: skip
        policy_server = PolicyServer(policies, lambda: self.scheme, self.registry.behaviour, always_allow)
        plugins = default_plugins(lambda: "12345", always_allow, (), policy_server, server)
        self.registry.admission = Chain(plugins, self.store.view)

    async def post(self, endpoint: Endpoint, body: bytes, timeout: Timeout, bytes_max: int = 0) -> Answer:
        """In the place of the HTTPS client."""
        review = orjson.loads(body)
        self.asked.append(endpoint.path)
        response = self.responds[endpoint.path](review["request"])
        if isinstance(response, Awaitable):
            response = await response
        if isinstance(response, Exception):
            raise response
        whole = {**review, "response": {"uid": review["request"]["uid"], **response}}
        return Answer(200, "application/json", orjson.dumps(whole))

    async def configure(self, kind: str, name: str, *paths: str, **more: Any) -> None:
        hooks = [
            {"name": f"{path}.example.com", "clientConfig": {"url": f"https://hook/{path}"}, "rules": RULES,
             "sideEffects": "None", "admissionReviewVersions": ["v1"], **more}
            for path in paths
        ]  # fmt: skip
        await self.user.create(GVR(GROUP, "v1", kind), "", {"metadata": {"name": name}, "webhooks": hooks})

    def last_event(self) -> Event:
        found = self.store.event(self.store.last_position())
        assert found is not None
        return found


def run(tmp_path: Path, scenario: Callable[[Hooked], Awaitable[None]], **responds: Respond) -> Hooked:
    ledger: list[Hooked] = []

    async def main() -> None:
        one = Hooked(tmp_path)
        one.responds |= {f"/{path}": respond for path, respond in responds.items()}
        ledger.append(one)
        await one.namespace("ns")
        await scenario(one)

    trio.run(main)
    return ledger[0]


def allow(_: Object) -> Object:
    return {"allowed": True}


def config_map(name: str, **more: Any) -> Object:
    return {"metadata": {"name": name, "labels": {"l": "x"}}, "data": {"k": "v"}, **more}


def test_the_event_tells_which_webhook_changed_what(tmp_path: Path) -> None:
    async def scenario(ledger: Hooked) -> None:
        await ledger.configure(MUTATING, "m", "none", "label", "gone", failurePolicy="Ignore")
        await ledger.configure(VALIDATING, "v", "notes", "away", failurePolicy="Ignore")
        await ledger.user.create(CONFIG_MAPS, "ns", config_map("c"))
        told = ledger.last_event().annotations
        mutation, patch = "mutation.webhook.admission.k8s.io/", "patch.webhook.admission.k8s.io/"
        assert {name: value for name, value in told.items() if "webhook" in name or "example" in name} == {
            f"{mutation}round_0_index_0": '{"configuration":"m","webhook":"none.example.com","mutated":false}',
            f"{mutation}round_0_index_1": '{"configuration":"m","webhook":"label.example.com","mutated":true}',
            f"{patch}round_0_index_1": (
                '{"configuration":"m","webhook":"label.example.com",'
                '"patch":[{"op":"add","path":"/metadata/labels/a","value":"yes"}],"patchType":"JSONPatch"}'
            ),
            f"{mutation}round_0_index_2": '{"configuration":"m","webhook":"gone.example.com","mutated":false}',
            f"failed-open.{mutation}round_0_index_2": "gone.example.com",
            "failed-open.validating.webhook.admission.k8s.io/round_0_index_1": "away.example.com",
            "notes.example.com/note": "hi",
        }

    run(
        tmp_path, scenario,
        none=allow, label=once("a"), gone=lambda _: CallFailed("EOF"), away=lambda _: CallFailed("EOF"),
        notes=lambda _: {"allowed": True, "auditAnnotations": {"note": "hi", "no key": "x"}},
    )  # fmt: skip


def test_a_denial_leaves_its_annotations_and_warnings_too(tmp_path: Path) -> None:
    async def scenario(ledger: Hooked) -> None:
        await ledger.configure(VALIDATING, "v", "deny")
        with pytest.raises(StatusError, match="denied the request: no"):
            await ledger.user.create(CONFIG_MAPS, "ns", config_map("c"))
        event = ledger.last_event()
        assert (event.code, event.annotations["deny.example.com/why"]) == (400, "because")

    denied = {"allowed": False, "status": {"message": "no"}, "auditAnnotations": {"why": "because"}}
    run(tmp_path, scenario, deny=lambda _: denied)


def relabelled(live: Object) -> Object:
    return {**live, "metadata": {**live["metadata"], "labels": {**live["metadata"]["labels"], "n": "1"}}}


def test_a_write_decided_again_asks_no_webhook_again(tmp_path: Path) -> None:
    """The namespace changes while the webhook thinks: the guard fails, and the write is decided on the newer namespace."""

    async def scenario(ledger: Hooked) -> None:
        async def slow(_: Object) -> Object:
            await ledger.user.update(NAMESPACES, "", "ns", relabelled)
            return patched(add("/data/added", "yes"))

        ledger.responds["/slow"] = slow
        await ledger.configure(MUTATING, "m", "slow")
        made = await ledger.user.create(CONFIG_MAPS, "ns", config_map("c"))
        assert made["data"] == {"k": "v", "added": "yes"}
        assert ledger.asked == ["/slow"]

    run(tmp_path, scenario)


def test_a_namespace_that_ends_while_a_webhook_thinks_gets_nothing_more(tmp_path: Path) -> None:
    async def scenario(ledger: Hooked) -> None:
        async def slow(_: Object) -> Object:
            await ledger.user.delete(NAMESPACES, "", "ns")
            return {"allowed": True}

        ledger.responds["/slow"] = slow
        await ledger.configure(MUTATING, "m", "slow")
        with pytest.raises(StatusError, match="because it is being terminated"):
            await ledger.user.create(CONFIG_MAPS, "ns", config_map("c"))

    run(tmp_path, scenario)


def test_others_write_while_a_webhook_thinks(tmp_path: Path) -> None:
    async def scenario(ledger: Hooked) -> None:
        go = trio.Event()

        async def slow(_: Object) -> Object:
            await go.wait()
            return {"allowed": True}

        ledger.responds["/slow"] = slow
        await ledger.configure(MUTATING, "m", "slow", objectSelector={"matchLabels": {"slow": "yes"}})
        async with trio.open_nursery() as nursery:
            slow_one = {"metadata": {"name": "slow", "labels": {"slow": "yes"}}}
            nursery.start_soon(ledger.user.create, CONFIG_MAPS, "ns", slow_one)
            await trio.testing.wait_all_tasks_blocked()
            await ledger.user.create(CONFIG_MAPS, "ns", config_map("quick"))
            assert ledger.names(CONFIG_MAPS, "ns") == ["quick"]
            go.set()
        assert ledger.names(CONFIG_MAPS, "ns") == ["quick", "slow"]

    run(tmp_path, scenario)


def test_folding_the_log_again_asks_no_webhook(tmp_path: Path) -> None:
    """Events carry outcomes: the object as the webhook left it is in the change."""

    async def scenario(ledger: Hooked) -> None:
        await ledger.configure(MUTATING, "m", "label")
        await ledger.user.create(CONFIG_MAPS, "ns", config_map("c"))
        asked = list(ledger.asked)
        bodies = [change.body for change in ledger.store.changes_after(0) if change.key.name == "c"]
        assert [json.loads(body or b"")["metadata"]["labels"]["a"] for body in bodies] == ["yes"]
        with ledger.store.view(ledger.store.head() - 1) as view:
            assert view.get(Key("", "configmaps", "ns", "c")) is None
        assert ledger.asked == asked

    run(tmp_path, scenario, label=once("a"))


def test_policies_and_webhooks_share_the_second_round(tmp_path: Path) -> None:
    """A policy sees in round two what a webhook did in round one; each is invoked again at most once."""

    async def scenario(ledger: Hooked) -> None:
        matched = {"resourceRules": [{**RULES[0], "operations": ["CREATE"]}], "matchPolicy": "Equivalent",
                   "namespaceSelector": {}, "objectSelector": {}}  # fmt: skip
        patch = "[JSONPatch{op: 'add', path: '/data/seen', value: 'a' in object.metadata.labels ? 'label' : 'none'}]"
        spec = {"failurePolicy": "Fail", "reinvocationPolicy": "IfNeeded", "matchConstraints": matched,
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}]}  # fmt: skip
        await ledger.user.create(
            GVR(GROUP, "v1", "mutatingadmissionpolicies"), "", {"metadata": {"name": "p"}, "spec": spec}
        )
        binding = {"metadata": {"name": "b"}, "spec": {"policyName": "p"}}
        await ledger.user.create(GVR(GROUP, "v1", "mutatingadmissionpolicybindings"), "", binding)
        await ledger.configure(MUTATING, "m", "label", "last", reinvocationPolicy="IfNeeded")
        made = await ledger.user.create(CONFIG_MAPS, "ns", config_map("c"))
        assert made["data"]["seen"] == "label"
        assert ledger.asked == ["/label", "/last", "/label", "/last"]

    run(tmp_path, scenario, label=once("a"), last=allow)


ANY = {"addresses": ["10.0.0.1"]}
PORT = [{"name": "", "port": 443, "protocol": "TCP"}]


@pytest.mark.parametrize("spec, slices, found", [
    ({}, [{"endpoints": [ANY], "ports": [{"name": "", "port": 8443}]}], ("10.0.0.1", 8443)),
    ({}, [{"endpoints": [{**ANY, "conditions": {"ready": False}}], "ports": [{"name": "", "port": 8443}]}],
     'no endpoints available for service "web"'),
    ({}, [{"endpoints": [ANY], "ports": [{"name": "other", "port": 8443}]}], 'no endpoints available for service "web"'),
    ({"ports": [{"port": 80}]}, [], 'no service port 443 found for service "web"'),
    ({"type": "ExternalName", "externalName": "hook.io", "ports": []}, [], ("hook.io", 443)),
    (None, [], 'service "web" not found'),
])  # fmt: skip
def test_where_a_service_answers(
    spec: Object | None, slices: list[Object], found: Address | str, tmp_path: Path
) -> None:
    async def scenario(ledger: Hooked) -> None:
        if spec is not None:
            await ledger.user.create(SERVICES, "ns", {"metadata": {"name": "web"}, "spec": {"ports": PORT, **spec}})
        for number, one in enumerate(slices):
            labels = {"kubernetes.io/service-name": "web"}
            whole = {"metadata": {"name": f"s{number}", "labels": labels}, "addressType": "IPv4", **one}
            await ledger.user.create(SLICES, "ns", whole)
        try:
            outcome: Address | str = address_of(Cluster(ledger.store), ServicePort("ns", "web", 443))
        except CallFailed as failed:
            outcome = str(failed)
        assert outcome == found

    run(tmp_path, scenario)


def test_endpoints_nobody_mirrored_are_found_too(tmp_path: Path) -> None:
    async def scenario(ledger: Hooked) -> None:
        await ledger.user.create(SERVICES, "ns", {"metadata": {"name": "web"}, "spec": {"ports": PORT}})
        subsets = [{"addresses": [{"ip": "10.0.0.2"}], "ports": [{"port": 9443}]}]
        await ledger.user.create(ENDPOINTS, "ns", {"metadata": {"name": "web"}, "subsets": subsets})
        assert address_of(Cluster(ledger.store), ServicePort("ns", "web", 443)) == ("10.0.0.2", 9443)

    run(tmp_path, scenario)


def test_a_client_is_what_the_plugins_call() -> None:
    assert {"post"} <= set(dir(Client)), "Hooked stands in for it"

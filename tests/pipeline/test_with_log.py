"""The chain over a real log: however requests end, and however many at once, each leaves one event."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import orjson
import pytest
import trio

from ledger.apimachinery import status
from ledger.apimachinery.http import Request, Response, User
from ledger.apimachinery.resource import Key
from ledger.auth.api import Authenticated, Decision, Unauthenticated
from ledger.auth.rbac import GROUP, Rbac
from ledger.log.event import Change, event_of
from ledger.pipeline.chain import ChainConfig, build_chain
from ledger.pipeline.flood import Flood
from ledger.pipeline.record import Recorder
from ledger.pipeline.requestinfo import request_info
from ledger.projections.store import Store
from tests.pipeline.requests import ADMIN, counter, request_for

ENDINGS = ("read", "write", "missing", "bug", "bad-token", "forbidden", "gone", "watch")


class World:
    """A handler that ends as the path's last segment says, and a chain around it that notes into `store`."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock = store, counter(1_795_470_000_000_000)
        self.flood = Flood(store.note, whole_per_interval=5)
        self.ids = counter(0)
        recorder = Recorder(self.clock, lambda: f"id-{self.ids()}", self.flood.note, room=store.room)
        self.chain = build_chain(self.handle, ChainConfig(recorder, self.authenticate, self.authorize))

    def authenticate(self, request: Request) -> Authenticated:
        if request.raw_path.endswith("bad-token"):
            raise Unauthenticated("no")
        return Authenticated(ADMIN)

    def authorize(self, user: User, info: object) -> Decision:
        return Decision(not getattr(info, "path", "").endswith("forbidden"))

    async def handle(self, request: Request) -> Response:
        assert request.info is not None
        match request.info.name:
            case "write":
                change = Change(Key("", "configmaps", "ns", request.audit_id), b'{"metadata":{}}', expect=0)
                await self.store.append(event_of(request, 201, self.clock()), [change])
                request.recorded = True
                return Response(201)
            case "missing":
                raise status.bad_request("no such thing")
            case "bug":
                raise KeyError("bug")
            case "gone":
                await trio.sleep_forever()
        return Response(200)

    async def ask(self, ending: str) -> None:
        with trio.move_on_after(0.01 if ending == "gone" else 30):
            query = "?watch=1" if ending == "watch" else ""
            path = "/api/v1/pods" if ending == "watch" else f"/api/v1/namespaces/ns/configmaps/{ending}"
            await self.chain(request_for(f"GET {path}{query}"))


@pytest.mark.parametrize("kept", ["memory", "lmdb"])
def test_every_request_leaves_one_event_in_the_log(kept: str, tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    asked = random.Random(seed).choices(ENDINGS, k=300)

    async def play(store: Store) -> None:
        world = World(store)
        async with trio.open_nursery() as nursery:
            for ending in asked:
                nursery.start_soon(world.ask, ending)
        world.flood.flush()
        await store.append(event_of(request_for("GET /"), 200, world.clock()))  # notes go in with the next commit

    with Store.memory() if kept == "memory" else Store.open(tmp_path / "data") as store:
        trio.run(play, store)
        found = Counter[int]()
        for event in store.events():
            found[event.code] += event.count
    codes = {
        "read": 200,
        "write": 201,
        "missing": 400,
        "bug": 500,
        "bad-token": 401,
        "forbidden": 403,
        "gone": 499,
        "watch": 200,
    }
    expected = Counter(codes[ending] for ending in asked)
    assert found - Counter({200: 1}) == expected


def test_a_binding_counts_from_the_answer_to_its_write_on() -> None:
    async def play(store: Store) -> list[bool]:
        rbac, asked = Rbac(), request_for("GET /")
        store.engine.subscribe(rbac.follow)
        bob = User("bob")
        info, seen = request_info("GET", "/api/v1/pods"), []
        role = {"metadata": {"name": "r"}, "rules": [{"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]}]}
        bound = {"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r"}}
        for resource, found in (
            ("clusterroles", role),
            ("clusterrolebindings", bound | {"subjects": [{"kind": "User", "name": "bob"}]}),
            ("clusterroles", None),
        ):
            key = Key(GROUP, resource, "", "r" if resource == "clusterroles" else "b")
            body = None if found is None else orjson.dumps(found)
            await store.append(event_of(asked, 201, 1), [Change(key, body)])
            seen.append(rbac.authorize(bob, info).allowed)
        return seen

    with Store.memory() as store:
        assert trio.run(play, store) == [False, True, False]

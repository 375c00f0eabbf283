"""A GET of one object: the deadline is left out because nothing on its way waits, so nothing may."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest
import trio

from ledger.apimachinery.http import Headers, Request, Response
from ledger.auth.certificates import ensure_credentials
from ledger.projections.store import Store
from ledger.server.app import App, build
from ledger.server.config import Config
from ledger.server.serve import Uids, new_suffix, new_uid, now_us

CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
OBJECT = "/api/v1/namespaces/default/configmaps/a"


def request(method: str, path: str, body: object = None) -> Request:
    async def read_body() -> bytes:
        return orjson.dumps(body)

    path, _, query = path.partition("?")
    pairs = [("authorization", "Bearer secret"), ("content-type", "application/json")]
    return Request(method, path, query, Headers(pairs), read_body, client="127.0.0.1")


def in_one_step(app: App, asked: Request) -> Response | None:
    """The answer, where making it gives the turn to nobody else."""
    steps = app.handler(asked).__await__()
    try:
        next(steps)
    except StopIteration as done:
        assert isinstance(done.value, Response)
        return done.value
    steps.close()
    return None


def with_app(test: object, data_dir: Path) -> None:
    tokens = data_dir / "tokens.csv"
    tokens.write_text('secret,admin,1,"system:masters"\n')

    async def run() -> None:
        credentials = ensure_credentials(data_dir / "pki")
        config = Config(data_dir=data_dir, controllers=("none",), token_auth_file=tokens)
        with Store.open(data_dir) as store:
            app = build(
                config, store, credentials, clock=now_us, new_uid=new_uid, new_suffix=new_suffix, draining=trio.Event()
            )
            async with trio.open_nursery() as nursery:
                await app.start(nursery, 6443)
                created = await app.handler(request("POST", OBJECT.removesuffix("/a"), CONFIG_MAP))
                assert created.status == 201
                assert callable(test)
                test(app)
                await app.stop()
                nursery.cancel_scope.cancel()

    trio.run(run)


@pytest.mark.parametrize(
    "path, code", [(OBJECT, 200), (OBJECT + "b", 404), ("/api/v1/namespaces/default", 200), ("/at/1" + OBJECT, 404)]
)
def test_one_object_is_answered_in_one_step_and_without_a_deadline_once_its_route_is_known(
    path: str, code: int, tmp_path: Path, deadlines: list[float]
) -> None:
    def test(app: App) -> None:
        for _ in range(3):
            deadlines.clear()
            response = in_one_step(app, request("GET", path))
            assert response is not None and response.status == code
        assert not deadlines

    with_app(test, tmp_path)


@pytest.mark.parametrize(
    "path", [OBJECT.removesuffix("/a"), OBJECT + "?timeout=1s", "/at/1" + OBJECT.removesuffix("/a"), "/version"]
)
def test_everything_else_has_a_deadline(path: str, tmp_path: Path, deadlines: list[float]) -> None:
    def test(app: App) -> None:
        for _ in range(2):
            deadlines.clear()
            in_one_step(app, request("GET", path))
            assert len(deadlines) == 1

    with_app(test, tmp_path)


@pytest.fixture
def deadlines(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The deadlines that the timeout filter sets."""
    found: list[float] = []

    def noted(deadline: float) -> trio.CancelScope:
        found.append(deadline)
        return trio.CancelScope(deadline=deadline)

    monkeypatch.setattr("ledger.pipeline.timeout.trio.move_on_at", noted)
    return found


def test_uids_are_random_uuids() -> None:
    uids = Uids()
    made = [uids() for _ in range(1000)]
    assert len(set(made)) == 1000
    version_4 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    assert all(version_4.fullmatch(each) for each in made)
    assert {each[19] for each in made} == set("89ab")

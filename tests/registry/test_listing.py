"""Lists read in slices: one revision, every object once, whatever is written meanwhile; pages and what they leave."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pytest

from ledger.apimachinery.resource import GroupResource
from ledger.apimachinery.status import StatusError
from ledger.projections import selections
from ledger.projections import view as views
from ledger.projections.api import Stored
from ledger.projections.store import Store
from ledger.registry.listing import EVERYTHING, Listing, Selection, list_page, selection_of
from ledger.registry.options import ListOptions
from ledger.scheme.scheme import builtin
from tests.log.samples import event, gone, in_trio, key, put

DEFINITION = builtin().definitions[GroupResource("", "configmaps")]
VERSION = DEFINITION.versions["v1"]
NOW_S = 1_000_000


def listing(store: Store, selection: Selection = EVERYTHING, namespace: str = "", **options: object) -> Listing:
    return Listing(store, DEFINITION, namespace, ListOptions(**options), selection, NOW_S)  # type: ignore[arg-type]


def selecting(labels: str = "", fields: str = "") -> Selection:
    return selection_of(DEFINITION, VERSION, ListOptions(label_selector=labels, field_selector=fields))


def never(stored: Stored) -> bytes:
    raise AssertionError(f"{stored} is written in the version that was asked for")


def names(bodies: bytes) -> list[str]:
    assert not bodies or bodies.startswith(b",")
    return [one["metadata"]["name"] for one in orjson.loads(b"[" + bodies[1:] + b"]")]


async def fill(store: Store, count: int, **more: object) -> list[str]:
    for number in range(count):
        labels = {"app": "web" if number % 3 else "db"}
        await store.append(event(number), [put(f"a{number:03}", labels=labels, **more)])  # type: ignore[arg-type]
    return [f"a{number:03}" for number in range(count)]


@pytest.fixture
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "SLICE_ROWS", 7)
    monkeypatch.setattr(views, "SLICE_BYTES", 300)


@pytest.mark.usefixtures("short_slices")
@pytest.mark.parametrize("kind", ["memory", "lmdb"])
def test_the_slices_of_a_list_show_one_revision_while_others_write(kind: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)

    @in_trio
    async def run() -> None:
        with Store.memory() if kind == "memory" else Store.open(tmp_path, durability="relaxed") as store:
            expected = await fill(store, 40)
            bodies, items = listing(store), listing(store)
            found, selected = [], []
            number = 1000
            while not (bodies.complete and items.complete):
                if not bodies.complete:
                    found += names(bodies.bodies("v1", never))
                if not items.complete:
                    selected += [one.key.name for one in items.items()]
                number += 1
                name = f"a{rng.randrange(60):03}"
                with store.view() as view:
                    there = any(one.key.name == name for one in view.scan(DEFINITION.stored_as))
                change = gone(name) if there and rng.random() < 0.5 else put(name, str(number))
                await store.append(event(number), [change])
            assert found == selected == expected
            assert bodies.page.revision == items.page.revision == 40

    run()


@pytest.mark.usefixtures("short_slices")
@in_trio
async def test_pages_name_the_next_one_and_how_many_objects_are_left() -> None:
    with Store.memory() as store:
        expected = await fill(store, 25)
        found: list[str] = []
        left: list[int | None] = []
        token = ""
        while True:
            page = listing(store, limit=10, continue_=token)
            while not page.complete:
                found += names(page.bodies("v1", never))
            left.append(page.page.remaining)
            await store.append(event(100 + len(left)), [gone(found[0]), put(f"b{len(left)}")])
            token = page.page.continue_
            if not token:
                break
        assert found == expected
        assert left == [15, 5, None]


@in_trio
async def test_a_token_that_names_no_rest_is_counted_anew() -> None:
    with Store.memory() as store:
        await fill(store, 9)
        token = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoibnMvYTAwMyJ9"  # rv -1, start ns/a003
        page = await list_page(store, DEFINITION, "", ListOptions(limit=2, continue_=token), EVERYTHING, NOW_S)
        assert [one.key.name for one in page.items] == ["a004", "a005"]
        assert page.remaining == 3


@pytest.mark.usefixtures("short_slices")
@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (selecting("app=db"), 10),
        (selecting("app in (db)"), 10),
        (selecting("app!=db"), 20),
        (selecting("app=db,app!=web"), 10),
        (selecting("app"), 30),
        (selecting("other=db"), 0),
        (selecting(fields="metadata.name=a007"), 1),
        (selecting("app=db", "metadata.name=a007"), 0),
        (selecting(fields="metadata.name!=a007"), 29),
        (selecting(fields="metadata.name=none"), 0),
    ],
)
def test_a_selection_finds_what_it_would_among_all(selection: Selection, expected: int) -> None:
    @in_trio
    async def run() -> None:
        with Store.memory() as store:
            await fill(store, 30)
            for namespace in ("", "ns"):
                page = await list_page(store, DEFINITION, namespace, ListOptions(), selection, NOW_S)
                with store.view() as view:
                    among_all = [one for one in view.scan(DEFINITION.stored_as) if selection.selects(one)]
                assert page.items == among_all
                assert len(page.items) == expected
            found: list[Stored] = []
            token = ""
            while True:
                options = ListOptions(limit=4, continue_=token)
                page = await list_page(store, DEFINITION, "", options, selection, NOW_S)
                found += page.items
                token = page.continue_
                assert page.remaining is None
                if not token:
                    break
                assert len(page.items) == 4
            assert found == among_all

    run()


@in_trio
async def test_what_is_not_written_in_the_version_asked_for_is_shown_otherwise() -> None:
    with Store.memory() as store:
        await fill(store, 3)
        shown = listing(store).bodies("v2", lambda stored: b'{"metadata":{"name":"%b!"}}' % stored.key.name.encode())
        assert names(shown) == ["a000!", "a001!", "a002!"]


@in_trio
async def test_a_token_expires() -> None:
    with Store.memory() as store:
        await fill(store, 3)
        page = listing(store, limit=1)
        page.bodies("v1", never)
        later = NOW_S + 301
        with pytest.raises(StatusError, match="too old") as expired:
            Listing(store, DEFINITION, "", ListOptions(limit=1, continue_=page.page.continue_), EVERYTHING, later)
        assert expired.value.code == 410
        assert expired.value.list_meta is not None


@pytest.mark.parametrize("kind", ["memory", "lmdb"])
def test_a_question_asked_again_is_answered_from_what_has_changed_since(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "CHANGES_MAX", 20)
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    asked = [selecting("app=db"), selecting("app!=db"), selecting("app=db,tier in (a,b)"), selecting("!app")]

    @in_trio
    async def run() -> None:
        with Store.memory() if kind == "memory" else Store.open(tmp_path, durability="relaxed") as store:
            await fill(store, 30)
            for number in range(1000, 1150):
                for _ in range(rng.choice([0, 1, 1, 3, 30])):
                    name, namespace = f"a{rng.randrange(40):03}", rng.choice(["ns", "other"])
                    with store.view() as view:
                        there = view.get(key(name, namespace)) is not None
                    labels = {k: rng.choice(["db", "web", "a"]) for k in ("app", "tier") if rng.random() < 0.7}
                    change = put(name, str(number), namespace=namespace, labels=labels)
                    await store.append(
                        event(number), [gone(name, namespace=namespace) if there and rng.random() < 0.4 else change]
                    )
                selection, namespace = rng.choice(asked), rng.choice(["", "ns"])
                page = await list_page(store, DEFINITION, namespace, ListOptions(), selection, NOW_S)
                with store.view() as view:
                    among_all = [one for one in view.scan(DEFINITION.stored_as, namespace) if selection.selects(one)]
                assert page.items == among_all
                assert page.revision == store.head()

    run()


@in_trio
async def test_a_question_asked_again_looks_at_no_object_it_does_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.memory() as store:
        await fill(store, 30)
        first = await list_page(store, DEFINITION, "", ListOptions(), selecting("app=db"), NOW_S)
        monkeypatch.setattr(views.NowView, "select", None)
        again = await list_page(store, DEFINITION, "", ListOptions(), selecting("app=db"), NOW_S)
        assert again.items == first.items
        with pytest.raises(TypeError):
            await list_page(store, DEFINITION, "", ListOptions(), selecting("app=web"), NOW_S)

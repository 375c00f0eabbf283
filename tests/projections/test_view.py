"""The state now and as of any revision."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.event import Change
from ledger.projections.api import FutureRevision, Required, Stored
from ledger.projections.state import splice
from ledger.projections.store import Store
from tests.log.samples import CONFIGMAPS, event, gone, in_trio, key, put


def names(store: Store, revision: int | None = None, namespace: str = "", after: tuple[str, str] | None = None) -> str:
    with store.view(revision) as view:
        return " ".join(
            f"{found.key.namespace}/{found.key.name}@{found.revision}"
            for found in view.scan(CONFIGMAPS, namespace, after)
        )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # As Go prints ObjectMeta: after the uid, before the rest.
        (
            b'{"metadata":{"name":"a","namespace":"ns","uid":"u-1","generation":1},"spec":{}}',
            b'{"metadata":{"name":"a","namespace":"ns","uid":"u-1","resourceVersion":"7","generation":1},"spec":{}}',
        ),
        (b'{"metadata":{"uid":"u-1"}}', b'{"metadata":{"uid":"u-1","resourceVersion":"7"}}'),
        # First where there is no uid; another object's uid is not its own.
        (b'{"metadata":{"name":"a"},"data":{}}', b'{"metadata":{"resourceVersion":"7","name":"a"},"data":{}}'),
        (b'{"metadata":{}}', b'{"metadata":{"resourceVersion":"7"}}'),
        (
            b'{"metadata":{"ownerReferences":[{"uid":"other"}]}}',
            b'{"metadata":{"resourceVersion":"7","ownerReferences":[{"uid":"other"}]}}',
        ),
        (b'{"metadata":{"name":"a"},"uid":"x"}', b'{"metadata":{"resourceVersion":"7","name":"a"},"uid":"x"}'),
        (b'{"metadata":{},"data":{"uid":"x"}}', b'{"metadata":{"resourceVersion":"7"},"data":{"uid":"x"}}'),
    ],
)
def test_the_revision_is_spliced_into_metadata(body: bytes, expected: bytes) -> None:
    assert splice(body, 7) == expected


@in_trio
async def test_an_object_is_read_with_what_selectors_need() -> None:
    with Store.memory() as store:
        change = put("a", "hello", labels={"app": "web"})
        await store.append(event(), [change])
        with store.view() as view:
            assert view.revision == 1
            assert view.get(key("a")) == Stored(
                key("a"),
                1,
                "uid-a",
                "v1",
                "ConfigMap",
                {"app": "web"},
                {},
                b'{"metadata":{"resourceVersion":"1","name":"a"},"data":{"text":"hello"}}',
            )
            assert view.get(key("b")) is None


@in_trio
async def test_a_past_view_shows_what_was_there_including_its_own_revision() -> None:
    with Store.memory() as store:
        await store.append(event(1), [put("a", "1")])
        await store.append(event(2), [put("b", "2")])
        await store.append(event(3), [put("a", "3")])
        await store.append(event(4), [gone("b")])
        await store.append(event(5), [put("b", "5")])
        await store.append(event(6), [gone("a")])
        assert [names(store, revision) for revision in range(7)] == [
            "",
            "ns/a@1",
            "ns/a@1 ns/b@2",
            "ns/a@3 ns/b@2",
            "ns/a@3",
            "ns/a@3 ns/b@5",
            "ns/b@5",
        ]
        with store.view(4) as view:
            found = view.get(key("a"))
            assert found is not None and found.body == (
                b'{"metadata":{"resourceVersion":"3","name":"a"},"data":{"text":"3"}}'
            )
            assert view.get(key("b")) is None


@in_trio
async def test_a_revision_ahead_of_the_log_is_refused() -> None:
    with Store.memory() as store:
        await store.append(event(), [put("a")])
        with pytest.raises(FutureRevision) as raised, store.view(2):
            pass
        assert (raised.value.revision, raised.value.current) == (2, 1)


@in_trio
async def test_lists_are_sorted_by_namespace_and_name_and_keep_resources_apart() -> None:
    with Store.memory() as store:
        for namespace, name in [("b", "x"), ("a", "y"), ("a-b", "x"), ("a", "x-1"), ("a", "x"), ("", "cluster")]:
            await store.append(event(), [put(name, namespace=namespace)])
        for resource, group in [("configmap", ""), ("configmapss", ""), ("configmaps", "x.io"), ("secrets", "")]:
            await store.append(event(), [put("other", resource=resource, group=group)])
        assert names(store) == "/cluster@6 a/x@5 a/x-1@4 a/y@2 a-b/x@3 b/x@1"
        assert names(store, namespace="a") == "a/x@5 a/x-1@4 a/y@2"
        assert names(store, after=("a", "x-1")) == "a/y@2 a-b/x@3 b/x@1"
        assert names(store, namespace="a", after=("a", "x")) == "a/x-1@4 a/y@2"
        assert names(store, namespace="a", after=("", "z")) == "a/x@5 a/x-1@4 a/y@2"
        assert names(store, after=("b", "x")) == ""
        with store.view() as view:
            assert view.count(CONFIGMAPS) == 6
            assert view.count(CONFIGMAPS, "a") == 3
            assert view.count(CONFIGMAPS, after=("a", "x-1")) == 3
            assert view.count(CONFIGMAPS, after=("b", "x")) == 0
        assert names(store, 4, after=("a", "x")) == "a/x-1@4 a/y@2 a-b/x@3 b/x@1"


@in_trio
async def test_names_that_no_table_key_holds_come_back_whole() -> None:
    long = ["n" * 500 + end for end in "abc"]
    with Store.memory() as store:
        for name in long:
            await store.append(event(), [put(name)])
        await store.append(event(), [gone(long[0])])
        await store.append(event(), [put(long[1], "new")])
        for revision, expected in ((None, long[1:]), (3, long)):
            with store.view(revision) as view:
                found = [one.key.name for one in view.scan(CONFIGMAPS)]
                assert sorted(found) == expected
                paged = []
                after = None
                while (one := next(view.scan(CONFIGMAPS, "ns", after), None)) is not None:
                    paged.append(one.key.name)
                    after = ("ns", one.key.name)
                assert paged == found
                assert all(view.get(key(name)) is not None for name in expected)


@pytest.mark.parametrize("engine", ["lmdb", "memory"])
@in_trio
async def test_a_join_shows_what_is_written_in_other_versions_as_it_is_told(engine: str, tmp_path: Path) -> None:
    with Store.memory() if engine == "memory" else Store.open(tmp_path, durability="relaxed") as store:
        for number in range(100):
            change = put(f"a{number:02}", "x" * (number % 9), labels={"a": "b" * (number % 7)})
            if number % 40 != 39:  # no uid as Kubernetes makes them
                change.uid = f"{number:08x}-0000-4000-8000-000000000000"
            change.api_version = "v2" if number % 50 == 30 else "v1"
            await store.append(event(number), [change])
        with store.view() as view:
            for rows_max in (1, 10, 1000):
                after, bodies = None, b""
                while True:
                    found = view.joined(CONFIGMAPS, "", after, "v1", lambda stored: stored.body.upper(), rows_max)
                    bodies, after = bodies + found.bodies, found.last
                    if after is None:
                        break
                assert bodies == b"".join(
                    b"," + (one.body if one.api_version == "v1" else one.body.upper()) for one in view.scan(CONFIGMAPS)
                )


class Model:
    """What the state must have been after each revision: the whole of it, kept."""

    def __init__(self) -> None:
        self.states: list[dict[Key, tuple[int, bytes]]] = [{}]

    def apply(self, change: Change) -> None:
        state = dict(self.states[-1])
        if change.body is None:
            state.pop(change.key, None)
        else:
            state[change.key] = (len(self.states), splice(change.body, len(self.states)))
        self.states.append(state)


@pytest.mark.parametrize("few_changes", [0, 1 << 30])
@pytest.mark.parametrize("engine", ["lmdb", "memory"])
@in_trio
async def test_every_past_state_is_what_it_was(
    engine: str, few_changes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.projections.past_view.FEW_CHANGES", few_changes)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    model = Model()
    store = Store.memory() if engine == "memory" else Store.open(tmp_path, durability="relaxed")
    with store:
        for number in range(300):
            where = {"namespace": chance.choice(["a", "b"]), "resource": chance.choice(["configmaps", "secrets"])}
            name = chance.choice("pqrstuv")
            exists = key(name, **where) in model.states[-1]
            labels = {label: chance.choice("xy") for label in ("app", "tier") if chance.random() < 0.5}
            made = put(name, str(number) + "z" * chance.choice([0, 300]), labels=labels, **where)
            change = gone(name, **where) if exists and chance.random() < 0.4 else made
            await store.append(event(number), [change])
            model.apply(change)
        for revision in chance.sample(range(301), 40):
            expected = model.states[revision]
            with store.view(revision) as view:
                for resource in ("configmaps", "secrets"):
                    for namespace in ("", "a", "b"):
                        found = {one.key: one for one in view.scan(GroupResource("", resource), namespace)}
                        assert list(found) == sorted(found)
                        assert view.count(GroupResource("", resource), namespace) == len(found)
                        assert {one.key: (one.revision, one.body) for one in found.values()} == {
                            known: value
                            for known, value in expected.items()
                            if known.resource == resource and namespace in ("", known.namespace)
                        }
                        for known, one in found.items():
                            assert view.get(known) == one
                        for wanted in (Required("app"), Required("app", "x"), Required("ap"), Required("app", "z")):

                            def selects(one: Stored, wanted: Required = wanted) -> bool:
                                there = one.labels.get(wanted.name)
                                return there is not None and wanted.value in (None, there)

                            selected = view.select(
                                GroupResource("", resource), namespace, None, selects, required=wanted
                            )
                            assert selected.items == [one for one in found.values() if selects(one)]

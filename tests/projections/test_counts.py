"""Counting objects: the same as reading them, at whatever revision."""

from __future__ import annotations

import random
from collections.abc import Callable

from ledger.apimachinery.resource import GroupResource
from ledger.projections.counts import Counts
from ledger.projections.store import Store
from tests.log.samples import CONFIGMAPS, event, gone, in_trio, put

SECRETS = GroupResource("", "secrets")


def counted(store: Store, resource: GroupResource, namespace: str = "") -> int:
    with store.view() as view:
        return view.count(resource, namespace)


@in_trio
async def test_a_count_keeps_up_with_what_is_created_changed_and_deleted() -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    with Store.memory() as store:
        live: set[tuple[str, str, str]] = set()
        for number in range(300):
            where = (rng.choice("abcde"), rng.choice(["ns1", "ns2"]), rng.choice(["configmaps", "secrets"]))
            name, namespace, resource = where
            if where in live and rng.random() < 0.5:
                await store.append(event(number), [gone(name, namespace=namespace, resource=resource)])
                live.discard(where)
            else:
                await store.append(event(number), [put(name, str(number), namespace=namespace, resource=resource)])
                live.add(where)
            for group_resource in (CONFIGMAPS, SECRETS):
                kind = [one for one in live if one[2] == group_resource.resource]
                assert counted(store, group_resource) == len(kind)
                assert counted(store, group_resource, "ns1") == len([one for one in kind if one[1] == "ns1"])


def test_a_count_is_asked_for_once_and_again_at_a_revision_it_was_not_told_of() -> None:
    asked: list[int] = []

    def counting(result: int) -> Callable[[], int]:
        def count() -> int:
            asked.append(result)
            return result

        return count

    counts = Counts(revision=7)
    assert counts.at(7, CONFIGMAPS, "", counting(3)) == 3
    assert counts.at(7, CONFIGMAPS, "", counting(3)) == 3
    assert asked == [3]
    assert counts.at(8, CONFIGMAPS, "", counting(4)) == 4  # committed, and not yet told
    assert counts.at(7, CONFIGMAPS, "", counting(3)) == 3
    assert asked == [3, 4]

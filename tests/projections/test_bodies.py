"""Bodies may lie on disk in another form: whoever reads gets them as they were written."""

from __future__ import annotations

from ledger.apimachinery.resource import Key
from ledger.log.memory import MemoryEngine
from ledger.projections.store import Store, folds
from ledger.replay.verify import verify
from tests.log.samples import CONFIGMAPS, event, gone, in_trio, key, put


class Reversed:
    """Stands in for encryption: easy to recognise, and different for each object."""

    def seal(self, key: Key, uid: str, body: bytes) -> bytes:
        return uid.encode() + b":" + body[::-1]

    def open(self, key: Key, uid: str, sealed: bytes) -> bytes:
        return sealed.removeprefix(uid.encode() + b":")[::-1]


@in_trio
async def test_sealed_bodies_are_opened_by_every_reader_and_lie_nowhere_in_the_clear() -> None:
    bodies = Reversed()
    engine = MemoryEngine(folds(bodies), bodies)
    with Store(engine, bodies) as store, store.watch(CONFIGMAPS, "", 0) as watcher:
        await store.append(event(1), [put("a", "secret")])
        await store.append(event(2), [put("a", "hidden")])
        await store.append(event(3), [gone("a"), put("b", "secret")])
        for revision, name, text in ((1, "a", b"secret"), (2, "a", b"hidden"), (4, "b", b"secret")):
            with store.view(revision) as view:
                (listed,) = view.scan(CONFIGMAPS)
                assert listed == view.get(key(name))
                assert b'"resourceVersion":"%d"' % revision in listed.body and text in listed.body
        assert [b"secret" in change.body for change in store.changes_after(0) if change.body] == [True, False, True]
        assert all(item.stored is not None and b'"text"' in item.stored.body for item in await watcher.next_batch())
        assert verify(store).intact
        rows = [row for table in engine.tables.values() for row in table.rows.values()]
        assert not any(b"secret" in row or b"hidden" in row for row in rows)

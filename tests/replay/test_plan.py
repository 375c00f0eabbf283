"""Where writes whose revision is not logged are placed."""

from __future__ import annotations

import random

import pytest

from ledger.apimachinery.resource import Key
from ledger.replay.importer.plan import Holes, plan
from ledger.replay.importer.rules import Effect, Step

S = 1_000_000


def step(text: str, number: int) -> Step:
    """`a 5 0-1`: a put of a at revision 5, asked at 0 s, answered at 1 s; `a ? 2-3`: a deletion, revision unknown."""
    name, revision, times = text.split()
    begun, _, ended = times.partition("-")
    known = revision != "?"
    return Step(
        Effect.STATE if known else Effect.VANISHED,
        Key("", "configmaps", "", name),
        int(revision) if known else 0,
        record=number,
        received=int(float(begun) * S),
        answered=int(float(ended) * S),
    )


@pytest.mark.parametrize(
    "steps, placed",
    [
        # the only hole between what ended before and what began after
        ("a 5 0-1 | b 7 5-6 | a ? 2-3", 6),
        # no hole there: the next one after it that its own object allows
        ("a 5 0-1 | b 6 5-6 | c 7 6-7 | a ? 2-3", 8),
        # in a wide hole, in proportion to the time
        ("a 10 0-1 | b 20 10-11 | a ? 5-6", 15),
        # never before its object's last write, nor after its next one
        ("a 10 0-4 | b 12 0-1 | a 14 6-7 | a ? 4-5", 13),
        ("b 3 0-1 | a 10 0-4 | a 12 6-7 | a ? 4-5", 11),
        # at the end of the log
        ("a 5 0-1 | a ? 2-3", 6),
    ],
)
def test_a_write_without_a_revision_is_placed(steps: str, placed: int) -> None:
    parsed = [step(text.strip(), number) for number, text in enumerate(steps.split("|"))]
    assert plan(parsed, {}).revisions[len(parsed) - 1] == (placed,)


def test_a_later_write_that_names_its_predecessors_revision_pins_it() -> None:
    first, lost, naming = step("a 5 0-1", 0), step("a ? 2-3", 1), step("a 20 8-9", 2)
    naming.held = 17
    found = plan([first, lost, naming], {})
    assert found.revisions[1] == (17,)
    assert found.pinned == {1}


def test_a_write_for_which_nothing_is_left_is_reported_not_forced() -> None:
    parsed = [step("a 5 0-1", 0), step("a ? 2-3", 1), step("a 6 4-5", 2)]
    found = plan(parsed, {})
    assert 1 not in found.revisions
    assert found.unplaced == [parsed[1]]


def test_two_objects_cannot_share_a_revision_so_the_later_is_placed_by_time() -> None:
    found = plan([step("a 5 0-1", 0), step("b 5 2-3", 1), step("c 9 6-7", 2)], {})
    assert found.revisions[0] == (5,)
    assert found.revisions[1] != (5,)


def test_holes_give_the_nearest_free_revision() -> None:
    holes = Holes([3, 4, 5, 9])
    assert (holes.at_or_above(3), holes.at_or_below(5), holes.at_or_above(7)) == (6, 2, 7)
    holes.take(6)
    assert (holes.at_or_above(4), holes.free(6), holes.at_or_below(1)) == (7, False, 1)


def test_whatever_the_log_every_revision_is_given_once_and_objects_only_move_forward() -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    steps, revision = [], 0
    for number in range(400):
        name = chance.choice("abcdefgh")
        revision += chance.choice((1, 1, 1, 2, 3))
        begun = number + chance.random()
        written = "?" if chance.random() < 0.2 else str(revision)
        steps.append(step(f"{name} {written} {begun:.3f}-{begun + chance.random() * 3:.3f}", number))
    found = plan(steps, {})
    given = [one for revisions in found.revisions.values() for one in revisions]
    assert len(given) == len(set(given))
    for one in steps:
        if one.revision:
            assert found.revisions[one.record] == (one.revision,)
    assert len(found.revisions) + len(found.unplaced) == len(steps)

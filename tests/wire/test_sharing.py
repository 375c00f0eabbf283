"""Processes that share a listening socket know who has the fewest connections."""

from __future__ import annotations

from ledger.wire.sharing import Shares, new_table


def test_who_has_more_than_another_lets_it_go_first() -> None:
    with new_table(3) as table:
        first, second, third = (Shares(table.fileno(), number) for number in range(3))
        assert not first.others_have_fewer(7)  # nobody else is there yet
        assert not second.others_have_fewer(0)
        assert first.others_have_fewer(7)
        assert not second.others_have_fewer(7)
        assert not first.others_have_fewer(7)  # equally many
        assert not third.others_have_fewer(6)
        assert first.others_have_fewer(7)
        third.leave()
        assert not first.others_have_fewer(7)

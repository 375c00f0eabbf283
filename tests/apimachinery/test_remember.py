from __future__ import annotations

from ledger.apimachinery.remember import CHARS_MAX, remembered


def test_a_long_text_is_answered_but_not_kept() -> None:
    asked = []

    @remembered(8)
    def length(text: str, *, plus: int = 0) -> int:
        asked.append(text[:1])
        return len(text) + plus

    long = "l" * (CHARS_MAX + 1)
    assert [length("s"), length("s"), length("s", plus=1)] == [1, 1, 2]
    assert [length(long), length(long)] == [CHARS_MAX + 1] * 2
    assert asked == ["s", "s", "l", "l"]

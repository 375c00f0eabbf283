"""Whether a disruption budget has room for one more eviction, and what it says when it has not."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.apimachinery.status import StatusError
from ledger.handlers.eviction import NO_ROOM, take_one

NOW = "2024-01-01T00:00:00Z"


def budget(generation: int = 1, **status: Any) -> dict[str, Any]:
    found = {"observedGeneration": 1, "currentHealthy": 2, "desiredHealthy": 1, **status}
    return {"metadata": {"name": "b", "generation": generation}, "spec": {}, "status": found}


def denied(reason: str, message: str) -> list[dict[str, str]]:
    return [{"type": "DisruptionAllowed", "status": "False", "reason": reason, "message": message}]


BE = "The disruption budget b"


@pytest.mark.parametrize("given, code, cause", [
    (budget(generation=2, disruptionsAllowed=1), 429, f"{BE} is still being processed by the server."),
    (budget(disruptionsAllowed=0, currentHealthy=1), 429, f"{BE} needs 1 healthy pods and has 1 currently"),
    (budget(disruptionsAllowed=0), 429, f"{BE} does not allow evicting pods currently"),
    (budget(disruptionsAllowed=0, conditions=denied("Busy", "not now")), 429,
     f"{BE} does not allow evicting pods currently (Busy): not now"),
    (budget(disruptionsAllowed=0, conditions=denied("SyncFailed", "no owner")), 429,
     f"{BE} does not allow evicting pods currently because it failed sync: no owner"),
    (budget(disruptionsAllowed=-1), 403,
     f"{BE} does not allow evicting pods currently: pdb disruptions allowed is negative"),
    (budget(disruptionsAllowed=1, disruptedPods={str(n): NOW for n in range(2001)}), 403,
     f"{BE} does not allow evicting pods currently: too many pending evictions not confirmed by PDB controller"),
])  # fmt: skip
def test_a_budget_without_room_says_why(given: dict[str, Any], code: int, cause: str) -> None:
    with pytest.raises(StatusError) as refused:
        take_one(given, "p", NOW)
    assert refused.value.code == code
    assert refused.value.details is not None
    assert refused.value.details["causes"] == [{"reason": "DisruptionBudget", "message": cause}]
    if code == 429:
        assert refused.value.message == NO_ROOM


def test_an_eviction_takes_one_and_notes_the_pod() -> None:
    status = take_one(budget(disruptionsAllowed=2), "p", NOW)["status"]
    assert status["disruptionsAllowed"] == 1
    assert status["disruptedPods"] == {"p": NOW}
    assert "conditions" not in status


def test_the_last_one_closes_the_budget() -> None:
    status = take_one(budget(disruptionsAllowed=1), "p", NOW)["status"]
    assert [(one["type"], one["status"], one["reason"]) for one in status["conditions"]] == [
        ("DisruptionAllowed", "False", "InsufficientPods")
    ]

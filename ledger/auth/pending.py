"""Decisions that somebody else makes: asked for once, then decided again with the answer.

Who may do what is decided in code that must not wait. Where only a webhook knows, that code ends with `Pending`, and
whoever called it and may wait does so through `settled`: the webhook is asked, its answer kept for a while, and the code
called again. So it must change nothing before its last decision.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ledger.apimachinery.http import Handler, Request, Response

ROUNDS_MAX = 100  # of one piece of work: far more questions than any request leads to

T = TypeVar("T")


class Pending(Exception):
    """Nothing can be decided before `learn` was awaited."""

    def __init__(self, learn: Callable[[], Awaitable[None]]) -> None:
        super().__init__("a webhook has not been asked yet")
        self.learn = learn


async def settled(work: Callable[[], T]) -> T:
    """What `work` gives, once all webhooks it depends on have answered."""
    for _ in range(ROUNDS_MAX):
        try:
            return work()
        except Pending as pending:
            learn = pending.learn
        await learn()
    return work()


def with_pending_decisions(handler: Handler) -> Handler:
    """Runs a request again whose admission or review depends on what a webhook decides. Nothing is written before."""

    async def decided(request: Request) -> Response:
        for _ in range(ROUNDS_MAX):
            try:
                return await handler(request)
            except Pending as pending:
                learn = pending.learn
            await learn()
        return await handler(request)

    return decided

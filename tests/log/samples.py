"""Events and changes for tests of the log: short to write, plain to read."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ledger.apimachinery.http import User
from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.event import Change, Event

CONFIGMAPS = GroupResource("", "configmaps")
SECOND = 1_000_000  # microseconds


def key(name: str, namespace: str = "ns", resource: str = "configmaps", group: str = "") -> Key:
    return Key(group, resource, namespace, name)


def event(
    number: int = 1, verb: str = "create", user: str = "alice", at_s: float | None = None, **fields: Any
) -> Event:
    """An event whose audit id begins with the number in 8 hexadecimal digits; answered at `at_s` (default: number)."""
    at = round((number if at_s is None else at_s) * SECOND)
    given = {"received": at, "answered": at, "uri": "/api/v1/namespaces/ns/configmaps", "code": 200} | fields
    return Event(audit_id=f"{number:08x}-0000-4000-8000-000000000000", verb=verb, user=User(user), **given)


def put(
    name: str, text: str = "x", *, expect: int | None = None, labels: dict[str, str] | None = None, **of: Any
) -> Change:
    """A config map `name` that holds `text`."""
    revision = of.pop("revision", 0)
    where = key(name, **of)
    body = b'{"metadata":{"name":"%b"},"data":{"text":"%b"}}' % (name.encode(), text.encode())
    return Change(
        where,
        body,
        uid=f"uid-{name}",
        api_version="v1",
        kind="ConfigMap",
        labels=labels or {},
        expect=expect,
        revision=revision,
    )


def gone(name: str, *, expect: int | None = None, **of: Any) -> Change:
    revision = of.pop("revision", 0)
    return Change(key(name, **of), None, expect=expect, revision=revision)


def in_trio(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs an async test, at most a minute."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def bounded() -> None:
            with trio.fail_after(60):
                await test(*args, **kwargs)

        trio.run(bounded)

    return run

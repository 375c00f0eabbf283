"""/statusz and /flagz: what runs here and with which flags, as text for people (KEP-4827, KEP-4828)."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence

from ledger.apimachinery.http import Handler, Request, Response

TEXT = [("content-type", "text/plain; charset=utf-8")]
WARNING = (
    "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for"
    " debugging purposes only."
)


def statusz_handler(version: str, paths: Sequence[str]) -> Handler:
    """`version`: the Kubernetes version this server speaks."""
    started = time.time()

    async def statusz(request: Request) -> Response:
        up = int(time.time() - started)
        lines = [
            "",
            "apiserver statusz",
            WARNING,
            "",
            f"Started= {time.strftime('%a %b %d %H:%M:%S UTC %Y', time.gmtime(started))}",
            f"Up= {up // 3600} hr {up // 60 % 60:02} min {up % 60:02} sec",
            f"Python version= {platform.python_version()}",
            f"Binary version= {version}",
            f"Emulation version= {'.'.join(version.split('.')[:2])}",
            f"Paths= {' '.join(paths)}",
        ]
        return Response(200, list(TEXT), ("\n".join(lines) + "\n").encode())

    return statusz


def flagz_handler(flags: Mapping[str, str]) -> Handler:
    """`flags`: name -> value as given on the command line or by default."""

    async def flagz(request: Request) -> Response:
        lines = ["", "apiserver flagz", WARNING, *(f"{name}={flags[name]}" for name in sorted(flags))]
        return Response(200, list(TEXT), ("\n".join(lines) + "\n").encode())

    return flagz

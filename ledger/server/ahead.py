"""The service accounts' key of a new server, made by a process of its own while this one loads its modules.

To find primes for RSA takes 40 ms on average and 200 with bad luck, holds the interpreter's lock meanwhile, and is a tenth
of a first start. Nothing is written there: the key comes back through a pipe, and whoever holds the directory keeps it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

MakeKey = Callable[[], bytes]


def service_account_key_ahead(data_dir: Path, make: MakeKey | None = None) -> MakeKey | None:
    """What waits for the key (PEM; b"" when it could not be made); None where one lies there already.

    Call it before there are threads: the process forks.
    """
    if not hasattr(os, "fork") or (data_dir / "pki" / "sa.key").exists():
        return None
    try:
        reader, writer = os.pipe()
        child = os.fork()
    except OSError:
        return None
    if not child:
        _make_and_exit(writer, make)
    os.close(writer)

    def made() -> bytes:
        with os.fdopen(reader, "rb") as pipe:
            key = pipe.read()
        _, status = os.waitpid(child, 0)
        return b"" if status else key

    return made


def _make_and_exit(writer: int, make: MakeKey | None) -> None:
    """In the child, which has this process's memory and must do nothing but this: no handlers, no buffers, no exceptions."""
    status = 1
    try:
        from ledger.auth.certificates import new_service_account_key

        with os.fdopen(writer, "wb") as pipe:
            pipe.write((make or new_service_account_key)())
        status = 0
    finally:
        os._exit(status)

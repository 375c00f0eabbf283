"""Runs a server: opens the store, joins the rooms, listens, and ends in order."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import trio

from ledger.auth.certificates import Credentials
from ledger.auth.kubeconfig import kubeconfig
from ledger.auth.tokenfile import BadTokenFile
from ledger.auth.webhooks import BadWebhookConfig
from ledger.log.api import Unusable
from ledger.log.lmdb_engine import LmdbEngine
from ledger.log.refold import Progress
from ledger.projections.store import Store
from ledger.server.ahead import MakeKey
from ledger.server.app import build
from ledger.server.config import Config
from ledger.server.front import Alone, Front
from ledger.server.process import (
    StartError,
    Uids,
    credentials_of,
    new_suffix,
    new_uid,
    now_us,
    prepare,
    settle,
    shown,
    wire_config,
)
from ledger.wire.config import WireConfig

__all__ = ["StartError", "Uids", "new_suffix", "new_uid", "now_us", "run"]

Announce = Callable[[str, Path], None]


def run(config: Config, announce: Announce, progress: Progress | None = None, key_ahead: MakeKey | None = None) -> None:
    """Serves until SIGTERM or SIGINT. `announce` is told the URL and the admin's kubeconfig once it is ready.

    `progress` is told about events folded again, where a projection needs that. `key_ahead`: see ahead.py. Raises
    StartError.
    """
    prepare()
    refused = ""
    try:
        trio.run(_main, config, announce, progress, key_ahead)
    except* (StartError, Unusable, BadTokenFile, BadWebhookConfig, OSError) as group:
        refused = _line(group)  # what is raised in here comes out in a group, before Python 3.11.4
    if refused:
        raise StartError(refused)


def _line(group: BaseExceptionGroup[BaseException]) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


async def _main(config: Config, announce: Announce, progress: Progress | None, key_ahead: MakeKey | None) -> None:
    # The store comes first: it makes sure that the directory is ours before anything is written there.
    store = Store.open(config.data_dir, durability=config.durability, read_only=config.read_only, progress=progress)
    with store:
        credentials = credentials_of(config, key_ahead)
        told = trio.Event()
        front = _front(config, wire_config(config, credentials, trio.Event()), store)
        app = build(
            config,
            store,
            credentials,
            clock=now_us,
            new_uid=new_uid,
            new_suffix=new_suffix,
            draining=told,
            followers=front.check,
        )
        async with trio.open_nursery() as beside:
            async with trio.open_nursery() as serving:
                signals = await serving.start(_signals)  # before anybody can know that we are there
                port = await front.start(serving, app)
                await app.start(beside, port)
                await front.ready()
                url = f"https://{shown(config.bind_address)}:{port}"
                announce(url, _write_kubeconfig(config, credentials, url))
                settle()
                await signals.wait()
                told.set()  # load balancers see /readyz fail, and have the delay to send their clients elsewhere
                await trio.sleep(config.shutdown_delay_duration_s)
                await front.end()  # what is served then ends by itself, within the grace period
            await app.stop()
            beside.cancel_scope.cancel()


def _front(config: Config, wire: WireConfig, store: Store) -> Front:
    if config.workers <= 1:
        return Alone(wire)
    from ledger.server.workers import Workers  # only here, as most servers need none

    assert isinstance(store.engine, LmdbEngine)
    return Workers(config, wire, store.engine)


async def _signals(*, task_status: trio.TaskStatus[trio.Event]) -> None:
    """Sets the event on the first SIGTERM or SIGINT; from then on another one ends the process at once."""
    came = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started(came)
        async for _ in signals:
            break
    came.set()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_DFL)


def _write_kubeconfig(config: Config, credentials: Credentials, url: str) -> Path:
    path = config.kubeconfig or config.data_dir / "admin.kubeconfig"
    ca = config.tls_cert_file or credentials.ca.certificate
    address = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    text = kubeconfig(
        address,
        ca.read_bytes(),
        certificate_pem=credentials.admin.certificate.read_bytes(),
        key_pem=credentials.admin.key.read_bytes(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        path.chmod(0o600)  # it may have been there before, for all to read
        file.truncate()
        file.write(text)
    return path

"""Runs a server: opens the store, joins the rooms, listens, and ends in order."""

from __future__ import annotations

import errno
import gc
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import trio

from ledger.auth.certificates import Credentials, ensure_credentials
from ledger.auth.jwt import load_private_key
from ledger.auth.kubeconfig import kubeconfig
from ledger.auth.tokenfile import BadTokenFile
from ledger.auth.webhooks import BadWebhookConfig
from ledger.log.api import Unusable
from ledger.log.refold import Progress
from ledger.log.resident import give_back_program
from ledger.projections.store import Store
from ledger.server.app import build
from ledger.server.config import Config
from ledger.server.network import service_ip
from ledger.wire.config import WireConfig
from ledger.wire.listener import serve as listen

Announce = Callable[[str, Path], None]
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # k8s.io/apimachinery/pkg/util/rand


class StartError(Exception):
    """The server cannot start; the message is one line for a person."""


def run(config: Config, announce: Announce, progress: Progress | None = None) -> None:
    """Serves until SIGTERM or SIGINT. `announce` is told the URL and the admin's kubeconfig once it is ready.

    `progress` is told about events folded again, where a projection needs that. Raises StartError.
    """
    _allow_many_files()
    # The writer thread gives the interpreter back after every row; it must not wait 5 ms to get it again.
    sys.setswitchinterval(0.0005)
    refused = ""
    try:
        trio.run(_main, config, announce, progress)
    except* (StartError, Unusable, BadTokenFile, BadWebhookConfig, OSError) as group:
        refused = _line(group)  # what is raised in here comes out in a group, before Python 3.11.4
    if refused:
        raise StartError(refused)


def _allow_many_files() -> None:
    """As Go programs do at start: each connection is a file, and the usual soft limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):  # an infinite hard limit may be more than the kernel takes
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _line(group: BaseExceptionGroup[BaseException]) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


async def _main(config: Config, announce: Announce, progress: Progress | None) -> None:
    # The store comes first: it makes sure that the directory is ours before anything is written there.
    store = Store.open(config.data_dir, durability=config.durability, read_only=config.read_only, progress=progress)
    with store:
        credentials = _credentials(config)
        told, drain = trio.Event(), trio.Event()
        app = build(config, store, credentials, clock=now_us, new_uid=new_uid, new_suffix=new_suffix, draining=told)
        wire = _wire(config, credentials, drain)
        async with trio.open_nursery() as beside:
            async with trio.open_nursery() as serving:
                signals = await serving.start(_signals)  # before anybody can know that we are there
                try:
                    addresses = await serving.start(lambda **k: listen(wire, app.handler, **k))
                except OSError as error:
                    raise StartError(_why_not_listening(error, wire.bind[0])) from None
                port = int(addresses[0].rpartition(":")[2])
                await app.start(beside, port)
                url = f"https://{_shown(config.bind_address)}:{port}"
                announce(url, _write_kubeconfig(config, credentials, url))
                gc.collect()
                gc.freeze()
                # Hardly anything a request makes is a cycle: look for garbage seldom, the more so among what stays.
                gc.set_threshold(5000, 20, 20)
                gc.enable()
                give_back_program()
                await signals.wait()
                told.set()  # load balancers see /readyz fail, and have the delay to send their clients elsewhere
                await trio.sleep(config.shutdown_delay_duration_s)
                drain.set()  # the listener then ends by itself, within its grace period
            await app.stop()
            beside.cancel_scope.cancel()


def _why_not_listening(error: OSError, address: str) -> str:
    """A file that TLS cannot use names itself; everything else is about the address."""
    said = error.strerror or str(error)
    return said if error.errno == errno.EINVAL else f"cannot listen on {address}: {said}"


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


def now_us() -> int:
    return time.time_ns() // 1000


class Uids:
    """Makes uids: random UUIDs (RFC 9562, version 4), with one call of the system for 256 of them."""

    __slots__ = ("_at", "_random")

    def __init__(self) -> None:
        self._random, self._at = "", 0

    def __call__(self) -> str:
        at = self._at
        if at == len(self._random):
            self._random, at = os.urandom(256 * 16).hex(), 0
        self._at = at + 32
        digits = self._random[at : at + 32]
        variant = "89ab"[int(digits[16], 16) & 3]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


new_uid = Uids()


def new_suffix() -> str:
    return "".join(random.choices(_SUFFIX_ALPHABET, k=5))


def _credentials(config: Config) -> Credentials:
    names = [] if config.bind_address in ("0.0.0.0", "::") else [config.bind_address]
    directory = config.data_dir / "pki"
    try:
        found = ensure_credentials(directory, service_ip=service_ip(config.service_cluster_ip_range), names=names)
    except OSError as error:
        raise StartError(f"cannot write {directory}: {error.strerror}") from None
    except ValueError as error:
        raise StartError(str(error)) from None
    try:
        load_private_key(found.service_account_key.read_bytes())
    except ValueError:
        raise StartError(f"{found.service_account_key} holds no private key that can sign tokens") from None
    return found


def _wire(config: Config, credentials: Credentials, drain: trio.Event) -> WireConfig:
    return WireConfig(
        bind=[f"{_shown(config.bind_address)}:{config.secure_port}"],
        certificate_file=str(config.tls_cert_file or credentials.serving.certificate),
        key_file=str(config.tls_private_key_file or credentials.serving.key),
        client_ca_file=str(config.client_ca_file or credentials.ca.certificate),
        more_client_ca_files=(str(config.requestheader_client_ca_file or credentials.front_proxy_ca.certificate),),
        drain=drain,
        grace_s=config.shutdown_grace_s,
    )


def _shown(address: str) -> str:
    """An address as URLs and sockets name it."""
    return f"[{address}]" if ":" in address else address


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

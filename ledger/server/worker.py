"""A worker: a process that answers reads from the log that another one writes, and passes everything else on to it.

It has the listening socket in common with its siblings, and does for a connection what a server that is alone does: TLS,
HTTP, filters, handlers. Its state is the same log, read in transactions of its own; what it keeps in memory follows the
log commit by commit (log.follower). See docs/adr/0018-workers.md.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import trio

from ledger.apimachinery.http import Handler, Request, Response
from ledger.apimachinery.status import StatusError
from ledger.handlers.forwarding import is_upgrade
from ledger.handlers.to_writer import PassOn
from ledger.log.follower import Follower
from ledger.log.link import Link
from ledger.outbound.caller import Caller
from ledger.outbound.dialing import Peer
from ledger.pipeline.answers import json_status
from ledger.pipeline.chain import build_chain
from ledger.pipeline.requestinfo import UnknownRequest, request_info
from ledger.projections.store import Store, folds
from ledger.registry.api_services import ApiServices
from ledger.server.app import App, build
from ledger.server.config import Config
from ledger.server.process import credentials_of, new_suffix, new_uid, now_us, prepare, settle, wire_config
from ledger.wire.listener import serve as listen
from ledger.wire.sharing import Shares

SOCKET = "ledger.socket"
UNIX_PATH_BYTES_MAX = 100
LAST_NOTES_S = 5.0
READS = frozenset({"get", "list", "watch"})
HERE = frozenset({"", "status", "scale"})  # subresources that are nothing but objects of the log
DOCUMENTS = ("/api", "/apis", "/api/", "/apis/", "/openapi/", "/version")


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker is told, pickled on its stdin; numbers are of inherited files."""

    config: Config
    number: int
    token: bytes  # of its journal
    link: int
    listening: int
    shares: int

    @property
    def name(self) -> str:
        return str(self.number)


def main() -> None:
    """The whole life of a worker."""
    given: Assignment = pickle.load(sys.stdin.buffer)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the writer tells us when to end
    prepare()
    trio.run(work, given)


async def work(given: Assignment) -> None:
    config = given.config
    link = Link(trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=given.link))))
    engine = Follower(config.data_dir, folds(), link, given.name, given.token)
    with Store(engine) as store:
        drain, credentials = trio.Event(), credentials_of(config)
        app = build(config, store, credentials, clock=now_us, new_uid=new_uid, new_suffix=new_suffix, draining=drain)
        shares = Shares(given.shares, given.number)
        wire = replace(
            wire_config(config, credentials, drain),
            listening=[socket.socket(fileno=given.listening)],
            courtesy=shares.others_have_fewer,
        )
        handler = divided(app, engine.catch_up, Peer("", 0, socket=writer_socket(config.data_dir)))
        async with trio.open_nursery() as beside:
            beside.start_soon(_until_the_writer_is_gone, engine, drain, beside)
            beside.start_soon(_drain_on_sigterm, drain)
            app.attend(beside)
            async with trio.open_nursery() as serving:
                await serving.start(lambda **k: listen(wire, handler, **k))
                await engine.up()
                settle()
            shares.leave()
            await app.stop()
            with trio.move_on_after(LAST_NOTES_S):
                await engine.noted()
            beside.cancel_scope.cancel()


async def _until_the_writer_is_gone(engine: Follower, drain: trio.Event, everything: trio.Nursery) -> None:
    await engine.talk(drain.set)
    everything.cancel_scope.cancel()


async def _drain_on_sigterm(drain: trio.Event) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            drain.set()


def divided(app: App, catch_up: Callable[[], None], writer: Peer) -> Handler:
    """Reads are answered here, on what is committed at this moment; the rest goes to the writer."""

    async def failing(request: Request) -> Response:
        raise request.scratch["failure"]

    pass_on = PassOn(Caller(), writer, build_chain(failing, app.filters))
    here = reads_of(app.remotes)

    async def answered(request: Request) -> Response:
        if here(request):
            catch_up()
            return await app.handler(request)
        try:
            return await pass_on(request)
        except StatusError as failure:
            return json_status(request, failure)

    return answered


def reads_of(remotes: ApiServices) -> Callable[[Request], bool]:
    """Whether the log alone answers a request: an object, a list, a watch or a document about kinds."""

    @lru_cache(4096)
    def may_be_here(path: str) -> tuple[bool, bool, str]:
        """(whether it asks for objects, for a document, the decoded path); the query changes none of them."""
        try:
            info = request_info("GET", path)
        except UnknownRequest as unknown:
            return False, False, unknown.info.path
        objects = info.is_resource and info.verb in READS and info.subresource in HERE
        return objects, not info.is_resource and info.path.startswith(DOCUMENTS), info.path

    def here(request: Request) -> bool:
        if request.method != "GET" or len(request.raw_path) > 2048:
            return False
        objects, document, path = may_be_here(request.raw_path)
        if not ((objects and remotes.of_path(path) is None) or (document and not remotes)):
            return False
        return not is_upgrade(request)

    return here


def writer_socket(data_dir: Path) -> str:
    """Where the writer listens for its workers. Unix sockets have short names: a long one is reached by a descriptor."""
    path = str(data_dir / SOCKET)
    if len(os.fsencode(path)) <= UNIX_PATH_BYTES_MAX:
        return path
    return f"/proc/self/fd/{os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)}/{SOCKET}"

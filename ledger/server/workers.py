"""The worker processes of a server, as the writer starts, hears and ends them.

The writer opens the listening socket but accepts nothing from it: the workers do (server.worker). It answers what they
pass on, on a Unix socket, takes in the events of what they answered themselves, and tells them of every commit. A worker
that dies is started again, after what it left in its journal was taken over.
"""

from __future__ import annotations

import logging
import math
import os
import pickle
import socket
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import trio

from ledger.handlers.to_writer import with_what_workers_tell
from ledger.log.api import Entry
from ledger.log.link import Link
from ledger.log.lmdb_engine import LmdbEngine
from ledger.server.app import App
from ledger.server.config import Config
from ledger.server.front import why_not_listening
from ledger.server.process import StartError
from ledger.server.worker import SOCKET, Assignment, writer_socket
from ledger.wire.config import WireConfig, open_sockets
from ledger.wire.listener import serve as listen
from ledger.wire.sharing import Shares, new_table
from ledger.wire.tls import tls_context

COMMAND = (sys.executable, "-P", "-c", "from ledger.server.worker import main; main()")
UP_S = 60.0  # within which all workers answer at start
LAST_S = 10.0  # beyond the grace period: then a worker is killed
RESTART_S = (0.1, 5.0)  # from the death of a worker to the next; at most, when it dies again and again
LIVED_S = 30.0  # a worker that lived so long did not die of how it was started
log = logging.getLogger("ledger.workers")


class Worker:
    """What the writer knows of one of them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.begin()

    def begin(self) -> None:
        """A life of its own, of which nothing is known yet."""
        self.up = False
        self.pending: deque[tuple[int, int]] = deque()  # (position, how many of its events) not committed yet
        self.taken_in = self.committed = 0  # of the events it sent
        self.news = trio.Event()

    @property
    def name(self) -> str:
        return str(self.number)

    def told(self, has_changes: bool, committed: int) -> None:
        """A commit: up to this position everything is on the disk."""
        before = self.committed
        while self.pending and self.pending[0][0] <= committed:
            self.committed = self.pending.popleft()[1]
        if has_changes or self.committed != before:
            self.news.set()


class Workers:
    """A Front of worker processes."""

    def __init__(self, config: Config, wire: WireConfig, engine: LmdbEngine) -> None:
        self._config, self._wire, self._engine = config, wire, engine
        self._workers = [Worker(number) for number in range(config.workers)]
        self._all_were_up = False
        self._draining = trio.Event()
        self._ended = trio.Event()
        self._some_up = trio.lowlevel.ParkingLot()
        self._inner = WireConfig(
            idle_timeout_s=math.inf, output_bytes_max=wire.output_bytes_max, drain=trio.Event(), grace_s=wire.grace_s
        )

    def check(self) -> str:
        """Well once all were up, and as long as one is."""
        if not self._all_were_up:
            return "not finished"
        return "" if any(one.up for one in self._workers) else "no worker is up"

    async def start(self, nursery: trio.Nursery, app: App) -> int:
        try:
            tls_context(self._wire)  # says at once what is wrong with the certificates
            ((self._listening, _),) = open_sockets(self._wire)
        except OSError as error:
            raise StartError(why_not_listening(error, self._wire.bind[0])) from None
        self._inner.listening = [self._own_socket()]
        self._table = new_table(len(self._workers))
        self._app = app
        self._engine.subscribe(self._tell)
        await nursery.start(lambda **k: listen(self._inner, with_what_workers_tell(app.handler), **k))
        nursery.start_soon(self._run)
        port: int = self._listening.getsockname()[1]
        return port

    def _own_socket(self) -> socket.socket:
        path = writer_socket(self._config.data_dir)
        (self._config.data_dir / SOCKET).unlink(missing_ok=True)
        own = socket.socket(socket.AF_UNIX)
        own.bind(path)
        os.chmod(path, 0o600)  # before it listens: until then nobody can connect
        own.setblocking(False)
        own.listen(4096)
        return own

    async def ready(self) -> None:
        with trio.move_on_after(UP_S):
            while not all(one.up for one in self._workers):
                await self._some_up.park()
        if not all(one.up for one in self._workers):
            raise StartError("the workers did not start")
        self._all_were_up = True

    async def end(self) -> None:
        self._draining.set()
        for worker in self._workers:
            worker.news.set()
        self._listening.close()
        with trio.move_on_after(self._wire.grace_s + LAST_S):
            await self._ended.wait()
        self._ended.set()  # the rest is killed
        self._inner.drain.set()
        with suppress(OSError):
            (self._config.data_dir / SOCKET).unlink()

    async def _run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._kill_in_the_end, nursery)
            async with trio.open_nursery() as alive:
                for worker in self._workers:
                    alive.start_soon(self._keep, worker)
            self._ended.set()

    async def _kill_in_the_end(self, nursery: trio.Nursery) -> None:
        await self._ended.wait()
        nursery.cancel_scope.cancel()

    async def _keep(self, worker: Worker) -> None:
        """Starts it, and again whenever it dies."""
        pause_s = RESTART_S[0]
        while not self._draining.is_set():
            began = trio.current_time()
            status = await self._live(worker)
            if self._draining.is_set():
                return
            log.warning("worker %s ended with status %s; it is started again", worker.name, status)
            pause_s = RESTART_S[0] if trio.current_time() - began > LIVED_S else min(2 * pause_s, RESTART_S[1])
            with trio.move_on_after(pause_s):
                await self._draining.wait()

    async def _live(self, worker: Worker) -> int:
        """One life of a worker; the exit status."""
        worker.begin()
        token = await self._engine.adopt(worker.name)
        if self._draining.is_set():
            return 0
        ours, theirs = socket.socketpair()
        link = Link(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
        files = (theirs.fileno(), self._listening.fileno(), self._table.fileno())
        given = Assignment(self._config, worker.number, token, *files)
        try:
            async with trio.open_nursery() as nursery:
                process = await nursery.start(partial(_started, given, files))
                theirs.close()  # so that the link ends with the process
                nursery.start_soon(self._speak, worker, link)
                await self._hear(worker, link)
                status: int = await process.wait()
                nursery.cancel_scope.cancel()
            return status
        finally:
            worker.up = False
            Shares(self._table.fileno(), worker.number).leave()
            theirs.close()
            ours.close()

    async def _hear(self, worker: Worker, link: Link) -> None:
        while (message := await link.receive()) is not None:
            if message[0] == "up":
                worker.up = True
                self._some_up.unpark_all()
            elif message[0] == "events":
                self._take_in(worker, message[1])
            elif message[0] == "hurry":
                self._engine.hurry()

    def _take_in(self, worker: Worker, rows: Sequence[bytes]) -> None:
        events = self._engine.take_in(worker.name, rows)
        for event in events:
            self._app.metrics.observe_event(event)
        worker.taken_in += len(events)
        worker.pending.append((events[-1].position, worker.taken_in))

    async def _speak(self, worker: Worker, link: Link) -> None:
        with suppress(trio.BrokenResourceError):  # it died: whoever hears it will find out
            while True:
                await worker.news.wait()
                worker.news = trio.Event()
                if self._draining.is_set():
                    await link.send(["drain"])
                await link.send(["committed", worker.committed])

    def _tell(self, entries: Sequence[Entry]) -> None:
        """A log listener."""
        has_changes = any(entry.changes for entry in entries)
        for worker in self._workers:
            worker.told(has_changes, self._engine.committed)


async def _started(given: Assignment, files: Sequence[int], *, task_status: Any) -> None:
    """Runs a worker until it ends; the value is the process. Cancelled, it is killed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    await trio.run_process(
        COMMAND,
        stdin=pickle.dumps(given),
        pass_fds=files,
        check=False,
        deliver_cancel=_kill,
        env=environment,
        task_status=task_status,
    )


async def _kill(process: trio.Process) -> None:
    process.kill()

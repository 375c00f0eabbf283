"""Accepts connections, gives each its loop, and ends them all when the server drains."""

from __future__ import annotations

import errno
import socket

import trio
from OpenSSL import SSL
from trio.lowlevel import notify_closing, wait_readable

from ledger.apimachinery.http import Handler
from ledger.wire.config import WireConfig, open_sockets
from ledger.wire.connection import Connection, Wire, log
from ledger.wire.http1 import Http1
from ledger.wire.stream import Disconnected, PlainStream
from ledger.wire.tls import TlsStream, tls_context

ACCEPTS_BETWEEN_CHECKPOINTS = 64
OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
OUT_OF_FILES_PAUSE_S = 0.1
COURTESY_S = 0.002  # between looks whether others, that have fewer connections, have taken the next one
COURTESY_TURNS = 8
SWEEP_S = 1.0  # a connection's deadline may be noticed twice as late


async def serve(
    config: WireConfig,
    handler: Handler,
    *,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until `config.drain` is set and everything under way has ended, `config.grace_s` later at most.

    Started means listening; the value is the addresses, "host:port" in the order of `config.bind`. Draining stops
    accepting, closes idle connections, lets requests finish and ends endless responses (watches) cleanly: a final
    chunk, END_STREAM, GOAWAY. Raises OSError before it started when an address or a file cannot be used.
    """
    context = tls_context(config) if config.tls else None
    listeners = open_sockets(config)
    wire = Wire(config, handler)
    try:
        async with trio.open_nursery() as connections, trio.open_nursery() as accepting:
            accepting.start_soon(_sweep, wire)
            for listener, tls in listeners:
                accepting.start_soon(_accept, listener, context if tls else None, wire, connections)
            task_status.started([_address(listener.getsockname()) for listener, _ in listeners])
            await config.drain.wait()
            accepting.cancel_scope.cancel()
            connections.cancel_scope.deadline = trio.current_time() + config.grace_s
            _close(listeners)
            wire.drain()
    finally:
        _close(listeners)


def _close(listeners: list[tuple[socket.socket, bool]]) -> None:
    for listener, _ in listeners:
        if listener.fileno() >= 0:
            notify_closing(listener)
            listener.close()


async def _sweep(wire: Wire) -> None:
    while True:
        await trio.sleep(SWEEP_S)
        wire.sweep()


async def _accept(listener: socket.socket, context: SSL.Context | None, wire: Wire, nursery: trio.Nursery) -> None:
    while True:
        try:
            await wait_readable(listener)
        except trio.ClosedResourceError:
            return  # the server drains
        for _ in range(COURTESY_TURNS):
            if not wire.config.courtesy(len(wire.connections)):
                break
            await trio.sleep(COURTESY_S)
        for count in range(ACCEPTS_BETWEEN_CHECKPOINTS):
            if count and wire.config.courtesy(len(wire.connections) + count):
                break
            try:
                accepted, address = listener.accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in OUT_OF_FILES:
                    log.warning("cannot accept a connection: %s", error)
                    await trio.sleep(OUT_OF_FILES_PAUSE_S)
                    break
                continue  # that client left before we came to it
            nursery.start_soon(_serve_connection, accepted, address, context, wire)


async def _serve_connection(accepted: socket.socket, address: object, context: SSL.Context | None, wire: Wire) -> None:
    """Whatever goes wrong here stays here: this is the barrier between one client and all the others."""
    try:
        accepted.setblocking(False)
        if accepted.family != socket.AF_UNIX:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        patience = wire.config.stall_timeout_s, wire.config.send_timeout_s
        stream = TlsStream(accepted, context, *patience) if context else PlainStream(accepted, *patience)
    except Exception:
        log.exception("a connection could not be set up")
        accepted.close()
        return
    connection = Connection(stream, _client(address), "https" if context else "http")
    wire.connections.add(connection)
    try:
        with connection.scope:
            await _speak(wire, connection)
    except Disconnected as gone:
        log.debug("%s: %s", connection.client, gone)
    except Exception:  # an ExceptionGroup of the loops' nurseries as well
        log.exception("the connection from %s failed", connection.client)
    finally:
        wire.connections.discard(connection)
        connection.forget()
        stream.close()


async def _speak(wire: Wire, connection: Connection) -> None:
    """Finds out which protocol the peer speaks, and speaks it."""
    stream = connection.stream
    protocol = b""
    if isinstance(stream, TlsStream):
        connection.expire_in(wire.config.handshake_timeout_s)
        await stream.handshake()
        protocol = stream.protocol
        connection.certificate, connection.certificate_error = stream.certificate, stream.certificate_error
        connection.signer = stream.signer
    preface = b""
    if protocol != b"h2":
        preface = await Http1(wire, connection).run()
        if not preface:
            return
    from ledger.wire.http2 import Http2  # and h2 with it, when the first one comes: a sixth of what a start would load

    await Http2(wire, connection).run(preface)


def _client(address: object) -> str:
    return str(address[0]) if isinstance(address, tuple) else ""


def _address(name: object) -> str:
    if not isinstance(name, tuple):
        return f"unix:{name}"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

"""What the listener is told: addresses, certificates, and a limit for whatever a peer can make us wait for or keep."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio
from hypercorn.config import Config, Sockets


@dataclass(slots=True)
class WireConfig:
    """Times in seconds, sizes in bytes. The defaults follow k8s.io/apiserver (secure_serving.go) where it has one."""

    bind: list[str] = field(default_factory=lambda: ["127.0.0.1:0"])  # host:port, [v6]:port, unix:PATH or fd://N
    listening: Sequence[socket.socket] = ()  # sockets that listen already, instead of `bind`
    courtesy: Callable[[int], bool] = lambda own: False  # having so many: whether to let others accept the next one
    certificate_file: str = ""  # PEM; without one the listener speaks plain HTTP
    key_file: str = ""
    client_ca_file: str = ""  # PEM; whose signature makes a client certificate an identity
    more_client_ca_files: tuple[str, ...] = ()  # whose signature TLS takes as well; what it is worth is decided above
    drain: trio.Event = field(default_factory=trio.Event)  # set it to stop: see listener.serve
    grace_s: float = 30  # from drain to the end, whatever the peers do

    handshake_timeout_s: float = 10
    idle_timeout_s: float = 90  # between requests
    head_timeout_s: float = 32  # first byte of a request to the end of its header
    body_timeout_s: float = 60  # a whole request body
    piece_timeout_s: float = 600  # for the next part of a body that is passed on
    stall_timeout_s: float = 30  # a peer that takes none of what we send
    passed_on_stall_timeout_s: float = 4 * 3600  # the same for tunnels and streams of others: a person may be reading
    send_timeout_s: float = 60  # one that takes some, but not the whole answer, or the whole chunk of a stream
    linger_s: float = 2  # discarding what a refused client still sends, so that it can read why

    head_bytes_max: int = 1024 * 1024 + 4096  # of HTTP/1.1: as Go's net/http
    large_heads_max: int = 64  # connections at a time that may be sending a header of more than LARGE_HEAD_BYTES
    header_list_bytes_max: int = 128 * 1024  # of HTTP/2, decoded: an eighth of Go's, for we decode it in Python
    body_bytes_max: int = 3 * 1024 * 1024
    discard_bytes_max: int = 256 * 1024  # of an unread body, to keep its connection (as Go's net/http)
    output_bytes_max: int = 256 * 1024  # queued on one HTTP/2 connection before its writers wait
    streams_max: int = 250  # concurrent, on one HTTP/2 connection
    stream_window_bytes: int = 256 * 1024  # of request body we take on one stream before the handler reads it
    connection_window_bytes: int = 1024 * 1024  # the same for all streams of a connection
    nuisance_max: int = 2000  # resets, pings, settings and empty frames at once; refilled at a tenth of it a second

    @property
    def tls(self) -> bool:
        return bool(self.certificate_file)


def open_sockets(config: WireConfig) -> list[tuple[socket.socket, bool]]:
    """The bound and listening sockets, each with whether it speaks TLS. Raises OSError when an address is taken."""
    if config.listening:
        return [(each, config.tls) for each in config.listening]
    hypercorn = Config()
    hypercorn.bind = list(config.bind)
    hypercorn.certfile = config.certificate_file or None
    hypercorn.keyfile = config.key_file or None
    sockets: Sockets = hypercorn.create_sockets()
    pairs = [(each, True) for each in sockets.secure_sockets] + [(each, False) for each in sockets.insecure_sockets]
    for each, _ in pairs:
        each.listen(4096)
    return pairs

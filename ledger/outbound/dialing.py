"""Connections to a peer: TCP, and TLS where it speaks that. What goes wrong is told in Go's words."""

from __future__ import annotations

import ssl
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import trio
from cryptography import x509

from ledger.outbound.refusal import CallFailed, NotSent, Shown, dial_error, lookup_error, tls_error

DIAL_TIMEOUT_S = 30.0  # as kube-apiserver's dialers
HANDSHAKE_TIMEOUT_S = 10.0
CONTEXTS_MAX = 200


@dataclass(frozen=True, slots=True)
class Tls:
    """How a peer proves who it is, and how we do. Equal ones share connections."""

    server_name: str  # what its certificate must be for, a name or an address
    ca: bytes = b""  # PEM; empty: whom the system trusts
    verify: bool = True
    certificate_file: str = ""  # PEM of our client certificate, and its key
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where to connect to."""

    host: str  # a name or an address
    port: int
    tls: Tls | None = None
    socket: str = ""  # of a process of our own: the path of its Unix socket, and nothing else matters

    @property
    def authority(self) -> str:
        """host:port as URLs and Host headers tell it (net.JoinHostPort)."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class Contexts:
    """TLS contexts, kept: reading certificates takes longer than a handshake. Renewed files are read again."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Tls, tuple[int, ...]], ssl.SSLContext] = OrderedDict()

    def of(self, tls: Tls) -> ssl.SSLContext:
        """Raises CallFailed for certificates that cannot be used."""
        try:
            written = tuple(Path(one).stat().st_mtime_ns for one in (tls.certificate_file, tls.key_file) if one)
        except OSError as error:
            raise CallFailed(f"open {error.filename}: {(error.strerror or '').lower()}") from None
        key = (replace(tls, server_name=""), written)
        context = self._kept.get(key)
        if context is None:
            context = self._kept[key] = tls_context(tls)
            while len(self._kept) > CONTEXTS_MAX:
                self._kept.popitem(last=False)
        return context


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Client side, TLS 1.2 or later, HTTP/1.1. Raises CallFailed for certificates that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # Go trusts whatever is in the bundle, a leaf too
    context.set_alpn_protocols(["http/1.1"])
    if not tls.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif tls.ca:
        try:
            context.load_verify_locations(cadata=tls.ca.decode("ascii", "replace"))
        except (ssl.SSLError, ValueError):
            raise CallFailed("unable to load root certificates: unable to parse bytes as PEM block") from None
    else:
        context.load_default_certs()
    if tls.certificate_file:
        try:
            context.load_cert_chain(tls.certificate_file, tls.key_file or None)
        except (OSError, ssl.SSLError) as error:
            raise CallFailed(f"tls: cannot use {tls.certificate_file}: {error}") from None
    return context


async def dial(peer: Peer, contexts: Contexts) -> Stream:
    """An open connection, after its handshake. Raises CallFailed."""
    if peer.socket:
        return await _connect_here(peer.socket)
    address, tcp = await _connect(peer)
    if peer.tls is None:
        return tcp
    stream = trio.SSLStream(tcp, contexts.of(peer.tls), server_hostname=peer.tls.server_name, https_compatible=True)
    try:
        with trio.fail_after(HANDSHAKE_TIMEOUT_S):
            await stream.do_handshake()
    except trio.TooSlowError:
        abort(tcp)
        raise CallFailed("net/http: TLS handshake timeout") from None
    except trio.BrokenResourceError as error:
        abort(tcp)
        raise CallFailed(await _why_no_handshake(peer, peer.tls, address, error.__cause__)) from None
    except BaseException:
        abort(tcp)
        raise
    return stream


def abort(stream: Stream) -> None:
    """Closes at once, without waiting for the other side to agree."""
    transport = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    transport.socket.close()


async def _connect_here(path: str) -> trio.SocketStream:
    socket = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        await socket.connect(path)
    except OSError as error:
        socket.close()
        raise NotSent(f"dial unix {path}: {(error.strerror or '').lower()}") from None
    except BaseException:
        socket.close()
        raise
    return trio.SocketStream(socket)


async def _connect(peer: Peer) -> tuple[str, trio.SocketStream]:
    """(the address taken, a connection to it): of several the first that answers."""
    try:
        found = await trio.socket.getaddrinfo(peer.host, peer.port, type=trio.socket.SOCK_STREAM)
    except OSError:
        raise CallFailed(lookup_error(peer.host)) from None
    trouble = ""
    for family, kind, protocol, _, where in dict.fromkeys(found):
        shown = replace(peer, host=str(where[0])).authority
        socket = trio.socket.socket(family, kind, protocol)
        try:
            socket.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
            socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_KEEPALIVE, 1)
            with trio.fail_after(DIAL_TIMEOUT_S):
                await socket.connect(where)
        except OSError as error:
            socket.close()
            trouble = trouble or dial_error(shown, error)
        except trio.TooSlowError:
            socket.close()
            trouble = trouble or f"dial tcp {shown}: i/o timeout"
        except BaseException:
            socket.close()
            raise
        else:
            return str(where[0]), trio.SocketStream(socket)
    raise CallFailed(trouble)


async def _why_no_handshake(peer: Peer, tls: Tls, address: str, cause: BaseException | None) -> str:
    if not isinstance(cause, ssl.SSLError):
        return "read: connection reset by peer" if isinstance(cause, ConnectionResetError) else "EOF"
    name = tls.server_name
    wants_certificate = isinstance(cause, ssl.SSLCertVerificationError)
    shown = await _shown(replace(peer, host=address), name) if wants_certificate else None
    return tls_error(cause, name, is_address(name), shown, datetime.now(UTC))


async def _shown(peer: Peer, name: str) -> Shown | None:
    """The certificate that was refused, to be able to say why: asked for once more, and trusted with nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with trio.fail_after(HANDSHAKE_TIMEOUT_S):
            _, tcp = await _connect(peer)
            try:
                stream = trio.SSLStream(tcp, context, server_hostname=name, https_compatible=True)
                await stream.do_handshake()
                der = stream.getpeercert(binary_form=True)
            finally:
                abort(tcp)
    except (CallFailed, trio.BrokenResourceError, trio.TooSlowError):
        return None
    return _parsed(der) if der else None


def _parsed(der: bytes) -> Shown:
    certificate = x509.load_der_x509_certificate(der)
    names: list[str] = []
    addresses: list[str] = []
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = alternatives.get_values_for_type(x509.DNSName)
        addresses = [str(one) for one in alternatives.get_values_for_type(x509.IPAddress)]
    except x509.ExtensionNotFound:
        names = []
    has_common_name = bool(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME))
    not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Shown(tuple(names), tuple(addresses), has_common_name, not_before, not_after)


def is_address(host: str) -> bool:
    """Whether a host is an IP address rather than a name."""
    return ":" in host or host.replace(".", "").isdigit()

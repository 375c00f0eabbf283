"""TLS over a non-blocking socket, with a client certificate that may be a stranger's.

kube-apiserver asks for a client certificate and checks it per request: one that its CA did not sign is answered 401,
over a connection that works. The standard library's `ssl` can only refuse such a handshake, so this uses pyOpenSSL,
whose verify callback notes the verdict and lets the handshake go on. TLS still proves that the peer has the key.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from trio.lowlevel import wait_readable, wait_writable

from ledger.wire.config import WireConfig
from ledger.wire.stream import RECEIVE_BYTES, Disconnected, PlainStream

# As Go prefers them: AES with 128 bits first, which is a tenth of a large answer's encryption cheaper.
SUITES = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"  # of TLS 1.3
CIPHERS = b"ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2: what HTTP/2 allows (RFC 9113, appendix A)
NO_RENEGOTIATION = 0x40000000  # SSL_OP_NO_RENEGOTIATION: a write never has to wait for the peer's bytes
PARTIAL_WRITES = 0x1  # SSL_MODE_ENABLE_PARTIAL_WRITE, which pyOpenSSL sets: one record a call, and a call a record
SEND_BYTES = 256 * 1024  # encrypted in one call, without the GIL
SESSION_CONTEXT = b"ledger"

# X509_V_ERR_*, in the words of Go's crypto/x509, which clients of kube-apiserver know.
VERIFY_ERRORS = {
    9: "x509: certificate has expired or is not yet valid",
    10: "x509: certificate has expired or is not yet valid",
    18: "x509: certificate signed by unknown authority",
    19: "x509: certificate signed by unknown authority",
    20: "x509: certificate signed by unknown authority",
    21: "x509: certificate signed by unknown authority",
    26: "x509: certificate specifies an incompatible key usage",
}
PLAIN_HTTP_ANSWER = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


def tls_context(config: WireConfig) -> SSL.Context:
    """Server side, TLS 1.2 or later, HTTP/2 preferred. Raises OSError when a file cannot be used."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_TICKET | NO_RENEGOTIATION)
    context.set_tls13_ciphersuites(SUITES)
    context.set_cipher_list(CIPHERS)
    context.clear_mode(PARTIAL_WRITES)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # an idle connection then costs some 35 KB less
    # A resumed session would skip the verify callback, and with it the verdict on the client's certificate.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(SESSION_CONTEXT)
    with _naming(config.certificate_file, "is not a PEM certificate"):
        context.use_certificate_chain_file(config.certificate_file)
    with _naming(config.key_file, f"is not the PEM key of {config.certificate_file}"):
        context.use_privatekey_file(config.key_file)
        context.check_privatekey()
    context.set_alpn_select_callback(_choose_protocol)
    if config.client_ca_file:
        for file in (config.client_ca_file, *config.more_client_ca_files):
            with _naming(file, "holds no PEM certificates"):
                context.load_verify_locations(file)
        # Go clients send a certificate only when one of these names signed it.
        context.load_client_ca(config.client_ca_file.encode())
        for file in config.more_client_ca_files:
            for one in x509.load_pem_x509_certificates(Path(file).read_bytes()):
                context.add_client_ca(one)
        context.set_verify(SSL.VERIFY_PEER, _note_verdict)
    return context


@contextmanager
def _naming(path: str, fault: str) -> Iterator[None]:
    """Turns OpenSSL's errors, which do not name the file, into an OSError that does."""
    with Path(path).open("rb"):
        pass
    try:
        yield
    except SSL.Error as error:
        raise OSError(errno.EINVAL, f"{path} {fault}") from error


def _choose_protocol(_connection: SSL.Connection, offered: list[bytes]) -> Any:
    for protocol in (b"h2", b"http/1.1"):
        if protocol in offered:
            return protocol
    return SSL.NO_OVERLAPPING_PROTOCOLS


def _note_verdict(connection: SSL.Connection, _certificate: object, error: int, _depth: int, ok: int) -> bool:
    """Called for each certificate of the chain, some more than once; the first failure is kept."""
    verdict = connection.get_app_data()
    if not ok and not verdict.error:
        verdict.error = VERIFY_ERRORS.get(error, f"x509: certificate verification failed ({error})")
    verdict.checked = True
    return True


class Verdict:
    """On the client's certificate, while the handshake runs."""

    __slots__ = ("checked", "error")

    def __init__(self) -> None:
        self.checked = False
        self.error = ""


class TlsStream(PlainStream):
    """After `handshake`: the protocol agreed on and what is known of the peer."""

    __slots__ = ("certificate", "certificate_error", "protocol", "signer", "tls", "verdict")

    def __init__(
        self, connected: socket.socket, context: SSL.Context, stall_timeout_s: float, send_timeout_s: float
    ) -> None:
        super().__init__(connected, stall_timeout_s, send_timeout_s)
        self.verdict = Verdict()
        self.tls = SSL.Connection(context, connected)
        self.tls.set_app_data(self.verdict)
        self.tls.set_accept_state()
        self.protocol = b""
        self.certificate: bytes | None = None  # DER, signed by one of the client CAs
        self.signer: bytes | None = None  # DER of that CA
        self.certificate_error = ""  # or why not

    async def handshake(self) -> None:
        """Raises Disconnected when the peer does not speak TLS as we do."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except SSL.WantReadError:
                await wait_readable(self.socket)
            except SSL.WantWriteError:
                await wait_writable(self.socket)
            except (SSL.Error, OSError) as error:
                self._explain_plain_http(error)
                raise Disconnected(f"TLS handshake: {error}") from error
        self.protocol = self.tls.get_alpn_proto_negotiated()
        certificate = self.tls.get_peer_certificate(as_cryptography=True)
        if certificate is not None:
            if self.verdict.error or not self.verdict.checked:
                self.certificate_error = self.verdict.error or "x509: certificate was not verified"
            else:
                self.certificate = certificate.public_bytes(Encoding.DER)
                chain = self.tls.get_verified_chain(as_cryptography=True)
                self.signer = chain[-1].public_bytes(Encoding.DER) if chain else None

    def _explain_plain_http(self, error: Exception) -> None:
        """Tells a browser or curl that was sent to the wrong scheme, in Go's words."""
        if "http request" in str(error):
            try:
                self.socket.send(PLAIN_HTTP_ANSWER)
                super().end_sending()
                self.socket.recv(RECEIVE_BYTES)  # what is left unread would turn our close into a reset
            except OSError:
                return  # a courtesy; the peer is being disconnected either way

    def holds_more(self) -> bool:
        return not self.closed and self.tls.pending() > 0

    def try_receive(self) -> bytes | None:
        if self.closed:
            raise Disconnected
        try:
            return self.tls.recv(RECEIVE_BYTES)
        except SSL.WantReadError:
            return None
        except SSL.ZeroReturnError:
            return b""
        except SSL.SysCallError as error:
            if error.args and error.args[0] == -1:  # closed without close_notify, as many clients do
                return b""
            raise Disconnected from error
        except (SSL.Error, OSError) as error:
            raise Disconnected(f"TLS: {error}") from error

    def try_send(self, data: bytes | bytearray | memoryview) -> int:
        if self.closed:
            raise Disconnected
        sent = 0
        try:
            # What a call could not send whole counts as not sent, although some records of it are out: OpenSSL knows
            # how far it came, and goes on from there when the next call begins with the same bytes. So callers must.
            while sent < len(data):
                piece = data if not sent and len(data) <= SEND_BYTES else memoryview(data)[sent : sent + SEND_BYTES]
                sent += self.tls.send(piece)
        except (SSL.WantReadError, SSL.WantWriteError):
            return sent
        except (SSL.Error, OSError) as error:
            raise Disconnected(f"TLS: {error}") from error
        return sent

    def end_sending(self) -> None:
        self._notify_close()
        super().end_sending()

    def close(self) -> None:
        if not self.closed:
            self._notify_close()
        super().close()

    def _notify_close(self) -> None:
        try:
            self.tls.shutdown()
        except (SSL.Error, OSError, trio.BrokenResourceError):
            return  # close_notify is a courtesy; the peer may be long gone

"""A webhook as people run them: HTTPS in a thread, with a certificate of a CA made for the test."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ledger.auth.certificates import ensure_credentials

Object = dict[str, Any]
Answer = Callable[
    [Object], Any
]  # of a review's request: the response without its uid; bytes or (status, bytes): as they are


class WebhookServer:
    """`answers` by path; `asked` holds every (path with query, review) in order."""

    def __init__(self, directory: Path, *names: str) -> None:
        made = ensure_credentials(directory, names=["127.0.0.1", "localhost", *names])
        self.ca = made.ca.certificate.read_bytes()
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, Object]] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self.released = threading.Event()  # lets `wait` go on

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize, disable_nagle_algorithm = 1 << 16, True

            def do_POST(handler) -> None:
                self._answer(handler)

            def log_message(handler, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def process_request(server, request: Any, address: Any) -> None:
                self.connections += 1
                self._open.append(request)
                super().process_request(request, address)

            def handle_error(server, request: Any, address: Any) -> None:
                pass  # clients that give up are part of the tests

        self._server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.serving.certificate, made.serving.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def client_config(self, path: str) -> Object:
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": base64.b64encode(self.ca).decode()}

    def wait(self, request: Object) -> Object:
        """An answer that comes when the test says so."""
        self.released.wait(20)
        return {"allowed": True}

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        review = json.loads(body)
        self.asked.append((handler.path, review))
        made = self.answers[handler.path.partition("?")[0]](review.get("request") or review)
        status, content = 200, made
        if isinstance(made, tuple):
            status, content = made
        if isinstance(content, dict):
            response = {"uid": (review.get("request") or {}).get("uid", ""), **content}
            content = json.dumps(
                {"kind": review["kind"], "apiVersion": review["apiVersion"], "response": response}
            ).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def __enter__(self) -> WebhookServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        for one in self._open:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)  # of TLS sockets too: at once


def allow(_request: Object) -> Object:
    return {"allowed": True}


def deny(message: str = "", **status: Any) -> Answer:
    told = {**({"message": message} if message else {}), **status}
    return lambda _request: {"allowed": False, **({"status": told} if told else {})}


def patch(*operations: Object) -> Answer:
    """A mutating answer; operations are JSON Patch."""
    encoded = base64.b64encode(json.dumps(list(operations)).encode()).decode()
    return lambda _request: {"allowed": True, "patchType": "JSONPatch", "patch": encoded}

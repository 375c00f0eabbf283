"""A kubelet that runs a few commands and forwards a port, in SPDY or WebSocket.

cat        gives back what it is told, until it is told no more
fail       complains, and ends with exit code 3
size       tells the size of the terminal, then ends
tar ...    takes everything, then ends: `received` holds it
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from ledger.apimachinery import spdy
from tests.outside.servers import Asked, Line

SUCCESS = {"metadata": {}, "status": "Success"}
FAILURE = {
    "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": "command terminated with exit code 3",
    "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
}  # fmt: skip
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255


@dataclass
class Kubelet:
    received: bytearray = field(default_factory=bytearray)
    asked: list[Asked] = field(default_factory=list)

    def __call__(self, line: Line, asked: Asked) -> None:
        self.asked.append(asked)
        path, _, query = asked.target.partition("?")
        if path.startswith("/containerLogs/"):
            line.answer(200, b"a line of the log\n", "Content-Type: text/plain")
        elif asked.headers.get("upgrade") == "SPDY/3.1":
            protocol = "portforward.k8s.io" if path.startswith("/portForward/") else "v4.channel.k8s.io"
            names = ("Connection: Upgrade", "Upgrade: SPDY/3.1", f"X-Stream-Protocol-Version: {protocol}")
            line.answer(101, b"", *names)
            (self._forward if "port" in protocol else self._run_in_spdy)(line, parse_qs(query))
        elif asked.headers.get("upgrade") == "websocket":
            line.accept_websocket(asked, "v5.channel.k8s.io")
            self._run_in_websocket(line, parse_qs(query))
        else:
            line.answer(404, b"404 page not found\n")

    def _run_in_spdy(self, line: Line, query: dict[str, list[str]]) -> None:
        encoder, decoder, streams, kinds = spdy.Encoder(), spdy.Decoder(), {}, {}
        expected = 1 + sum(name in query for name in ("input", "output", "error", "tty"))
        command = query["command"]

        def say(kind: str, data: bytes, end: bool = False) -> None:
            if kind in streams:
                line.send(spdy.data_frame(streams[kind], data, end=end))

        def end(status: object) -> None:
            say("error", json.dumps(status).encode(), end=True)
            for kind in ("stdout", "stderr"):
                say(kind, b"", end=True)

        while True:
            for frame in decoder.feed(line.some()):
                if frame.kind == spdy.SYN_STREAM:
                    kind = frame.headers["streamtype"]
                    streams[kind], kinds[frame.stream] = frame.stream, kind
                    line.send(encoder.syn_reply(frame.stream, {}))
                    if len(streams) == expected and command[0] in ("fail", "test"):
                        say("stderr", b"it does not work\n")
                        end(FAILURE)
                elif frame.kind == spdy.PING:
                    line.send(spdy.ping(frame.data))
                elif frame.kind == spdy.GOAWAY:
                    return
                elif frame.kind == spdy.DATA and kinds[frame.stream] == "resize" and command[0] == "size":
                    say("stdout", frame.data)
                    end(SUCCESS)
                elif frame.kind == spdy.DATA and kinds[frame.stream] == "stdin":
                    self.received += frame.data
                    if command[0] == "cat" and frame.data:
                        say("stdout", frame.data)
                    if frame.ends:
                        end(SUCCESS)

    def _forward(self, line: Line, _query: dict[str, list[str]]) -> None:
        """What comes for the port is given back in capitals."""
        encoder, decoder, kinds, errors = spdy.Encoder(), spdy.Decoder(), {}, {}
        requests: dict[int, str] = {}
        while data := line.some():
            for frame in decoder.feed(data):
                if frame.kind == spdy.SYN_STREAM:
                    kinds[frame.stream] = frame.headers["streamtype"]
                    requests[frame.stream] = frame.headers["requestid"]
                    if kinds[frame.stream] == "error":
                        errors[frame.headers["requestid"]] = frame.stream
                    line.send(encoder.syn_reply(frame.stream, {}))
                elif frame.kind == spdy.PING:
                    line.send(spdy.ping(frame.data))
                elif frame.kind == spdy.DATA and kinds.get(frame.stream) == "data":
                    line.send(spdy.data_frame(frame.stream, frame.data.upper(), end=frame.ends))
                    if frame.ends:  # both ends of a connection are told on its error stream
                        line.send(spdy.data_frame(errors[requests[frame.stream]], b"", end=True))

    def _run_in_websocket(self, line: Line, query: dict[str, list[str]]) -> None:
        command = query["command"]
        if command[0] in ("fail", "test"):
            line.message(bytes((STDERR,)) + b"it does not work\n")
            line.message(bytes((ERROR,)) + json.dumps(FAILURE).encode())
            line.message(b"\x03\xe8", 8)
            return
        for message in line.messages():
            if message[:1] == bytes((STDIN,)):
                self.received += message[1:]
                if command[0] == "cat":
                    line.message(bytes((STDOUT,)) + message[1:])
            elif message == bytes((CLOSE, STDIN)):
                break
        line.message(bytes((ERROR,)) + json.dumps(SUCCESS).encode())
        line.message(b"\x03\xe8", 8)

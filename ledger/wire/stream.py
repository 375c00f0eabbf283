"""A connected socket as the loops want it: try the system call first, ask the scheduler only when it would block.

trio's own SocketStream goes through the scheduler for every call; a keep-alive GET then costs twice as much. Both kinds
of stream keep at most one reader and one writer at a time.
"""

from __future__ import annotations

import socket

import trio
from trio.lowlevel import checkpoint, checkpoint_if_cancelled, notify_closing, wait_readable, wait_writable

from ledger.apimachinery.http import PeerGone

RECEIVE_BYTES = 64 * 1024
# A peer that always has the next request ready, or takes whatever we write, must still let others have their turn.
TURNS_BETWEEN_CHECKPOINTS = 16


class Disconnected(PeerGone):
    """The peer is gone, or so slow that it counts as gone."""


class PlainStream:
    """A TCP or unix socket."""

    __slots__ = ("answered", "closed", "send_timeout_s", "socket", "stall_timeout_s", "turns")

    def __init__(self, connected: socket.socket, stall_timeout_s: float, send_timeout_s: float) -> None:
        self.socket = connected
        self.stall_timeout_s = stall_timeout_s
        self.send_timeout_s = send_timeout_s
        self.turns = 0
        self.answered = False  # something was sent since the last `receive`
        self.closed = False

    async def receive(self) -> bytes:
        """What has arrived, at most 64 KiB; empty at the end of what the peer sends. Raises Disconnected.

        Waits first when something was sent since the last time: the peer will hardly have gone on from there yet, and to
        try in vain takes as long as to wait.
        """
        answered, self.answered = self.answered, False
        if not answered or self.closed or self.holds_more():
            await self._take_turn()
            data = self.try_receive()
            if data is not None:
                return data
        while True:
            try:
                await wait_readable(self.socket)
            except (OSError, trio.ClosedResourceError) as error:
                raise Disconnected from error
            data = self.try_receive()
            if data is not None:
                return data

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        """Everything, in order.

        Raises Disconnected, also when the peer takes nothing for `stall_timeout_s`, or not all in `send_timeout_s`.
        """
        self.turns += 1
        if self.turns % TURNS_BETWEEN_CHECKPOINTS == 0:
            await checkpoint()
        self.answered = True
        sent = self.try_send(data)
        if sent == len(data):
            return
        until = trio.current_time() + max(self.send_timeout_s, self.stall_timeout_s)
        with memoryview(data) as view:
            while sent < len(view):
                with trio.move_on_at(min(trio.current_time() + self.stall_timeout_s, until)) as stalled:
                    try:
                        await wait_writable(self.socket)
                    except (OSError, trio.ClosedResourceError) as error:
                        raise Disconnected from error
                if stalled.cancelled_caught:
                    raise Disconnected("the peer does not read")
                with view[sent:] as rest:
                    sent += self.try_send(rest)

    async def _take_turn(self) -> None:
        self.turns += 1
        if self.turns % TURNS_BETWEEN_CHECKPOINTS == 0:
            await checkpoint()
        else:
            await checkpoint_if_cancelled()

    def holds_more(self) -> bool:
        """Whether something was taken off the socket that nobody has received yet."""
        return False

    def try_receive(self) -> bytes | None:
        """What is there now; None when nothing is. Raises Disconnected."""
        if self.closed:
            raise Disconnected
        try:
            return self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            raise Disconnected from error

    def try_send(self, data: bytes | bytearray | memoryview) -> int:
        """How many bytes it took without waiting; what is sent next must begin with the others. Raises Disconnected."""
        if self.closed:
            raise Disconnected
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Disconnected from error

    def end_sending(self) -> None:
        """Tells the peer that nothing more follows; it can still be heard."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return  # already gone, which is what we wanted to tell it

    def close(self) -> None:
        """Never waits. Wakes whoever still waits on the socket."""
        if not self.closed:
            self.closed = True
            notify_closing(self.socket)
            self.socket.close()

"""py-libp2p's end of a transport measurement: one stream over noise and yamux, its defaults, messages behind a length.

It runs in trio, on a thread of its own; the measured calls run there from start to end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.peerinfo import info_from_p2p_addr
from multiaddr import Multiaddr

from benchmarks.transport_shared import BALL, QUESTION, SERVER
from rookery.transport import Identity

_PROTOCOL = "/rookery-benchmark/1"


class Libp2p:
    """A host; the one that listens serves every stream."""

    def __init__(self, identity: Identity) -> None:
        self.host: Any = new_host(key_pair=create_new_key_pair())
        self.serves = identity.peer == SERVER.peer
        self.address = ""
        self.stream_: Any = None
        self._started, self._over = threading.Event(), trio.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._run,))
        self._thread.start()
        self._started.wait()

    async def _run(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        if self.serves:
            self.host.set_stream_handler(_PROTOCOL, _serve)
        async with self.host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
            self.address = str(self.host.get_addrs()[0])
            self._started.set()
            await self._over.wait()
            if self.stream_ is not None:
                await self.stream_.close()

    def _call(self, function: Callable[..., Awaitable[float]], *arguments: object) -> float:
        seconds: float = trio.from_thread.run(function, *arguments, trio_token=self._token)
        return seconds

    def dial(self, address: str) -> float:
        """See `End`."""
        return self._call(self._dial, address)

    async def _dial(self, address: str) -> float:
        info = info_from_p2p_addr(Multiaddr(address))
        started = time.perf_counter()
        await self.host.connect(info)
        seconds = time.perf_counter() - started
        self.stream_ = await self.host.new_stream(info.peer_id, [_PROTOCOL])
        return seconds

    def stream(self, payload: bytes, times: int) -> float:
        """See `End`."""
        return self._call(self._stream, payload, times)

    async def _stream(self, payload: bytes, times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            await _write(self.stream_, payload)
        await _write(self.stream_, QUESTION)
        assert await _read(self.stream_) == b"=%d" % (times + 1)
        return time.perf_counter() - started

    def trips(self, times: int) -> float:
        """See `End`."""
        return self._call(self._trips, times)

    async def _trips(self, times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            await _write(self.stream_, BALL)
            await _read(self.stream_)
        return (time.perf_counter() - started) / times

    def close(self) -> None:
        """See `End`."""
        self._token.run_sync_soon(self._over.set)
        self._thread.join()


async def _serve(stream: Any) -> None:
    received = 0
    while True:
        try:
            payload = await _read(stream)
        except Exception:  # the other end has gone; libp2p has many errors for that
            return
        received += 1
        if len(payload) == 1:
            await _write(stream, b"=%d" % received)
            received = 0
        elif payload[:1] == b"!":
            received -= 1
            await _write(stream, b"=" + payload[1:])


async def _write(stream: Any, payload: bytes) -> None:
    await stream.write(len(payload).to_bytes(4, "big") + payload)


async def _read(stream: Any) -> bytes:
    return await _exactly(stream, int.from_bytes(await _exactly(stream, 4), "big"))


async def _exactly(stream: Any, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part: bytes = await stream.read(size)
        if not part:
            raise EOFError("the stream has ended")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)

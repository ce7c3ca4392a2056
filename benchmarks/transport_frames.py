"""How payloads are best put into ZeroMQ's frames: joined into one, or each as its own; copied, or handed over uncopied.

Processor microseconds per message, of everything: encoding, ZeroMQ's threads, the kernel, decoding, both sides in one
process, CURVE on. Batches of as many messages as a full one has (256, or 1 MiB).

* `join-SIZE`: payloads joined into the batch's first frame; the baseline is each as its own frame. The size from which
  the ratio stays below 1 is where `JOIN_UP_TO` belongs.
* `nocopy-send-SIZE`, `nocopy-receive-SIZE`: own frames with `copy=False`, which spares a copy and costs a hand-over of
  the buffer; the baseline is `copy=True`. To send so makes pyzmq start a context and a thread for the whole process,
  which give the buffers back. A received frame has to become `bytes` in the end, as messages are values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import zmq

from benchmarks.harness import Result, less_is_better, main
from rookery.transport import Identity
from rookery.transport.core import codec

SIZES = (64, 256, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 262_144, 1_048_576)
_BYTES = 8 * 2**20  # of a measurement; small messages are fewer
_ROUTE = b"route"

Send = Callable[[zmq.Socket[bytes], Sequence[bytes]], object]
Receive = Callable[[zmq.Socket[bytes]], list[bytes]]


def copied(socket: zmq.Socket[bytes], frames: Sequence[bytes]) -> None:
    """As production sends."""
    socket.send_multipart([_ROUTE, *frames])


def uncopied(socket: zmq.Socket[bytes], frames: Sequence[bytes]) -> None:
    """ZeroMQ reads the large frames where they are."""
    socket.send(_ROUTE, zmq.SNDMORE)
    for frame in frames[:-1]:
        socket.send(frame, zmq.SNDMORE, copy=False)
    socket.send(frames[-1], copy=False)


def taken(socket: zmq.Socket[bytes]) -> list[bytes]:
    """Copied at once."""
    return socket.recv_multipart()[1:]


def taken_as_frames(socket: zmq.Socket[bytes]) -> list[bytes]:
    """As frames first, which then are copied: what a message is made of has to outlive ZeroMQ's buffer."""
    return [frame.bytes for frame in socket.recv_multipart(copy=False)[1:]]


@contextmanager
def pair() -> Iterator[tuple[zmq.Socket[bytes], zmq.Socket[bytes]]]:
    """Two connected ROUTERs."""
    here, there = Identity.from_seed(b"h" * 32), Identity.from_seed(b"t" * 32)
    context = zmq.Context()
    sender, receiver = context.socket(zmq.ROUTER), context.socket(zmq.ROUTER)
    for socket, identity in ((sender, here), (receiver, there)):
        socket.curve_secretkey, socket.curve_publickey = identity.curve_secret, identity.curve_public
        socket.sndhwm = socket.rcvhwm = 0
        socket.router_mandatory = 1
    receiver.curve_server = 1
    port = receiver.bind_to_random_port("tcp://127.0.0.1")
    sender.curve_serverkey = there.curve_public
    sender.setsockopt(zmq.CONNECT_ROUTING_ID, _ROUTE)
    sender.connect(f"tcp://127.0.0.1:{port}")
    try:
        yield sender, receiver
    finally:
        sender.close(linger=0)
        receiver.close(linger=0)
        context.term()


def cost(
    sockets: tuple[zmq.Socket[bytes], zmq.Socket[bytes]], size: int, join_up_to: int, send: Send, receive: Receive
) -> float:
    """Processor seconds per message."""
    sender, receiver = sockets
    number = max(1, min(codec.MAX_BATCH_MESSAGES, codec.MAX_BATCH_BYTES // size))
    batch = [(16, bytes(size))] * number
    times = max(2, min(_BYTES // (number * size), 100))
    usual, codec.JOIN_UP_TO = codec.JOIN_UP_TO, join_up_to  # type: ignore[misc]  # the constant that is sought
    try:
        started = time.process_time()
        for _ in range(times):
            send(sender, codec.encode_batch(batch))
        for _ in range(times):
            assert len(codec.decode_batch(receive(receiver))) == number
        return (time.process_time() - started) / (times * number)
    finally:
        codec.JOIN_UP_TO = usual  # type: ignore[misc]


def compared(
    name: str, runs: int, ours: tuple[int, Send, Receive], theirs: tuple[int, Send, Receive], baseline: str
) -> Iterator[Result]:
    """Both ways in turn, for every size."""
    with pair() as sockets:
        for size in SIZES:
            found = [(cost(sockets, size, *ours), cost(sockets, size, *theirs)) for _ in range(runs)][1:]
            one, other = ([seconds * 1e6 for seconds in each] for each in zip(*found, strict=True))
            yield less_is_better(f"{name}-{label(size)}", one, "us", baseline, other)


def label(size: int) -> str:
    """64B, 4KiB, 1MiB."""
    return f"{size // 2**20}MiB" if size >= 2**20 else f"{size // 1024}KiB" if size >= 1024 else f"{size}B"


ALL, NONE = 2**30, -1


def join(quick: bool) -> Iterator[Result]:
    """Where joining ends to pay."""
    yield from compared("join", 6 if quick else 16, (ALL, copied, taken), (NONE, copied, taken), "own frames")


def nocopy(quick: bool) -> Iterator[Result]:
    """Where `copy=False` begins to pay."""
    runs, usual = 6 if quick else 16, (NONE, copied, taken)
    yield from compared("nocopy-send", runs, (NONE, uncopied, taken), usual, "copied")
    yield from compared("nocopy-receive", runs, (NONE, copied, taken_as_frames), usual, "copied")


if __name__ == "__main__":
    main("transport-frames", join, nocopy)

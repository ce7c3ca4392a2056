"""Reads messages from a ROUTER: those with frames too many, or too large, to their end but in slices.

libzmq hands a message out whole: until its last frame is read, nothing of another route can be. So the rest of such a
message is thrown away, for a slice of time at once, while everything else goes on.
"""

from __future__ import annotations

import time

import zmq

from .zmq_sockets import NOBLOCK

_SLICE = 0.004  # seconds of a poll for what is thrown away
_FRAMES_AT_ONCE = 16  # between two looks at the clock


class MessageReader:
    """Reads one socket. discarding: the rest of a message is to be thrown away before anything else is read."""

    def __init__(self, socket: zmq.Socket[bytes], *, max_frames: int, max_bytes: int) -> None:
        """max_frames, max_bytes: of one message."""
        self.discarding = False
        self._socket = socket
        self._max_frames, self._max_bytes = max_frames, max_bytes

    def rest_of(self, frame: zmq.Frame) -> list[bytes]:
        """This frame and those behind it, up to the first too many: what then follows is to be discarded.

        A `Frame` knows whether more follow; asking the socket costs as much.
        """
        frames = [frame.bytes]
        if not frame.more:
            return frames
        recv, size, left = self._socket.recv, len(frames[0]), self._max_frames
        while frame.more:
            frame = recv(NOBLOCK, False)
            frames.append(frame.bytes)
            size += len(frames[-1])
            left -= 1
            if not left or size > self._max_bytes:
                self.discarding = frame.more
                break
        return frames

    def is_too_large(self, frames: list[bytes]) -> bool:
        """Whether what was read has more than a message may have. libzmq has bounded a single frame."""
        count = len(frames)
        return count > 1 and (count > self._max_frames or sum(map(len, frames)) > self._max_bytes)

    def discard(self) -> bool:
        """Throw away what follows, for a slice of time at most; whether that was all."""
        recv, until = self._socket.recv, time.monotonic() + _SLICE
        while True:
            for _ in range(_FRAMES_AT_ONCE):
                if not recv(NOBLOCK, False, False).more:
                    self.discarding = False
                    return True
            if time.monotonic() >= until:
                return False

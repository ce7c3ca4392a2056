"""How fast a node gives away bytes. Pure: times are monotonic seconds, given as `now`.

An answer may leave when all that left before it is paid for, at `rate` bytes per second. Time without answers saves up
at most `burst` bytes. Only the moment at which everything is paid is stored, as in virtual scheduling (GCRA).

Rules, each with a test in `tests/blobs/test_pacer.py`:

* In any span of T seconds at most rate x T bytes leave, plus the burst and one answer.
* Answers leave in the order in which they were given.
* Whoever would wait longer than `patience` is told so at once, and nothing is charged: an answer that comes after the
  asker gave up is waste, and what waits holds memory.
"""


class Pacer:
    """The bytes of one node."""

    __slots__ = ("_credit", "_paid_at", "_patience", "_rate")

    def __init__(self, rate: float, burst: float, patience: float) -> None:
        """rate: bytes per second, above 0. burst: bytes, 0 allowed. patience: seconds, 0 allowed."""
        if rate <= 0 or burst < 0 or patience < 0:
            raise ValueError(
                f"a pacer needs a rate above 0, burst and patience from 0, not {rate}, {burst}, {patience}"
            )
        self._rate = rate
        self._credit = burst / rate
        self._patience = patience
        self._paid_at = float("-inf")

    def delay(self, now: float) -> float | None:
        """Seconds until the next answer may leave, or None if that is longer than `patience`. Charges nothing."""
        delay = max(0.0, self._paid_at - now)
        return delay if delay <= self._patience else None

    def send(self, size: int, now: float) -> float | None:
        """Charge an answer of `size` bytes; it leaves after this many seconds. None: not charged, not to be sent."""
        delay = self.delay(now)
        if delay is not None:
            self._paid_at = max(self._paid_at, now - self._credit) + size / self._rate
        return delay

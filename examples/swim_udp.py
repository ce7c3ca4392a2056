"""A cluster of SWIM members over UDP: `Swim` with a socket and a heap of timers, and nothing else of Rookery.

    python examples/swim_udp.py 7001            # and in others: our port, and those of members to join through
    python examples/swim_udp.py 7002 7001

UDP proves nobody's identity, so anybody on the network can lie here; Rookery's own engine signs and encrypts.
"""

import heapq
import itertools
import random
import select
import socket
import sys
import time
from collections.abc import Callable

from rookery.actors.membership.swim import Config, MemberId, Notify, Outbox, Schedule, Send, Swim, SwimError, Timer


def member_at(host: str, port: int, generation: int = 0) -> MemberId:
    """The key of a member is its place, so that whoever knows the key can send to it."""
    return MemberId(bytes(26) + socket.inet_aton(host) + port.to_bytes(2, "big"), generation)


class Agent:
    def __init__(self, port: int, config: Config, told: Callable[[object], object] = print) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        me = member_at("127.0.0.1", self.socket.getsockname()[1], int(time.time()))
        self.swim = Swim.new(me, config, random.Random(), renew=lambda last: MemberId(last.key, last.generation + 1))
        self.timers: list[tuple[float, int, int, Timer]] = []
        self.outbox, self.order, self.told = Outbox(), itertools.count(), told

    def join(self, *ports: int) -> None:
        self.swim.join([member_at("127.0.0.1", port) for port in ports], time.monotonic(), self.outbox)
        self.carry_out()

    def step(self, patience: float) -> None:
        """Take one packet, or else the timers that are due; wait at most so many seconds for either."""
        wait = self.timers[0][0] - time.monotonic() if self.timers else patience
        if select.select([self.socket], [], [], max(0.0, min(wait, patience)))[0]:
            data, (host, port) = self.socket.recvfrom(65_536)
            try:
                self.swim.handle_data(data, time.monotonic(), self.outbox, sender=member_at(host, port).key)
            except SwimError as error:
                self.told(f"dropped a packet of {host}:{port}: {error}")
        while self.timers and self.timers[0][0] <= time.monotonic():
            self.swim.handle_timer(heapq.heappop(self.timers)[-1], time.monotonic(), self.outbox)
        self.carry_out()

    def carry_out(self) -> None:
        for effect in self.outbox.drain():
            match effect:
                case Send(to, data):
                    self.socket.sendto(data, (socket.inet_ntoa(to.key[26:30]), int.from_bytes(to.key[30:], "big")))
                case Schedule(timer, delay):
                    heapq.heappush(self.timers, (time.monotonic() + delay, timer.rank, next(self.order), timer))
                case Notify(news):
                    self.told(news)


if __name__ == "__main__":
    agent = Agent(int(sys.argv[1]), Config.new_lan())
    agent.join(*map(int, sys.argv[2:]))
    while True:
        agent.step(patience=1.0)

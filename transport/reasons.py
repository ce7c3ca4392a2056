"""Why a link was refused, failed or closed. One word each, the same on the wire, in events, counters and logs."""

from __future__ import annotations

import enum


class Reason(enum.StrEnum):
    """A closed set, so a peer cannot invent series in the metrics. Unknown words from the wire become `OTHER`."""

    # a handshake is refused
    NO_GATE = "no_gate"  # the gatekeeper has not pushed a gate yet
    BLOCKED = "blocked"
    UNREGISTERED_IP = "unregistered_ip"
    RATE = "rate"  # too many handshakes from this IP or subnet
    PENDING = "pending"  # too many handshakes at once
    NETWORK = "network"  # another network name
    VERSION = "version"  # no common protocol version
    RECORD = "record"  # the record or its signature is not valid for this peer
    NOT_TRACKED = "not_tracked"
    EGRESS_IP = "egress_ip"  # comes from another IP than its address says
    COOLDOWN = "cooldown"
    TOO_MANY = "too_many"  # a hard limit of connections
    QUEUED = "queued"  # every short-lived place is taken, and the peer has a place in the queue
    DUPLICATE = "duplicate"  # a live connection to this peer is kept
    SELF = "self"
    PRIVATE = "private"
    GATED = "gated"  # the application's gater denies it

    # a dial fails
    LIMIT = "limit"  # our own limit of outbound connections
    UNRESOLVED = "unresolved"  # the name has no usable address
    UNREACHABLE = "unreachable"  # nobody listens there, or who does has no descriptor and resets the connection
    AUTHENTICATION = "authentication"  # not the key we dialled, or its gate refused us, or it hung up for want of room
    TIMEOUT = "timeout"
    WRONG_PEER = "wrong_peer"
    STALE = "stale"  # the address or the eligibility changed meanwhile
    SUPERSEDED = "superseded"  # the peer's own dial went first
    ADDRESS_IN_USE = "address_in_use"  # a live link has this endpoint, so it is somebody else's

    # a link ends
    ADDRESS_CHANGED = "address_changed"
    TRIMMED = "trimmed"
    REPLACED = "replaced"  # by a newer link of the same peer
    LOST = "lost"  # the socket below broke
    DEAD = "dead"  # no heartbeat in time
    PROTOCOL = "protocol"  # it sent what no honest peer sends
    FLOODING = "flooding"  # it kept on over its quota
    IDLE = "idle"  # a packet link or a short-lived connection that was not used
    TURN_OVER = "turn_over"  # a short-lived connection has had its time, and others wait for its place
    REMOTE = "remote"  # the other side closed and did not say why
    REQUESTED = "requested"  # the application closed it
    SHUTDOWN = "shutdown"
    OTHER = "other"

    @classmethod
    def of(cls, word: object) -> Reason:
        """The reason for a word from the wire; `OTHER` if it is not one of ours."""
        return cls._value2member_map_.get(word, cls.OTHER) if isinstance(word, str) else cls.OTHER  # type: ignore[return-value]

"""Which update about a member replaces which.

* Another generation of the same key: the higher one wins, whatever its state.
* Down and Left are terminal: nothing of the same generation replaces them.
* Down and Left replace Alive and Suspect at any incarnation.
* Suspect replaces Alive at the same incarnation or a higher one.
* Everything else needs a higher incarnation: only the accused itself can raise it, so only it can refute.
"""

from .member import Member, State

__all__ = ["is_implausible", "supersedes"]


def supersedes(held: Member, incoming: Member) -> bool:
    """Whether `incoming` replaces `held`; both are about one key (membership: how a death is noticed)."""
    if incoming.id.generation != held.id.generation:
        return incoming.id.generation > held.id.generation
    if not held.is_active:
        return False
    if not incoming.is_active:
        return True
    if held.state is State.ALIVE and incoming.state is State.SUSPECT:
        return incoming.incarnation >= held.incarnation
    return incoming.incarnation > held.incarnation


def is_implausible(held: Member, incoming: Member, max_jump: int) -> bool:
    """Whether a third party claims more refutations than the member can have made meanwhile (defects: D12)."""
    return incoming.id == held.id and incoming.incarnation - held.incarnation > max_jump

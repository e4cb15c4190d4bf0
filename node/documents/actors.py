"""In whose name this node writes changes of a document.

Law: no two changes that are minted share (actor, seq), whatever becomes of their writes. An actor
is drawn from entropy, for one document. It goes on only while the last change drawn for it here
is to be seen, and is the last of that actor; a change that was refused, is held for approval, or
waits for a hook ends its actor. What is remembered here is only which name to go on with: to
forget it costs another actor, and nothing else.

A request with a retry key that says what it is made upon may be sent to two nodes that cannot see
each other. It has an actor of its own, the same on both, and makes one change there: the same.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from crdt.document.model import ACTOR_BYTES, Change
from crdt.document.opened import Document
from node.contracts import RetryKey

_DOCUMENTS_MAX: Final = 4096
_PERSON: Final = b"document retry"


class Turn(NamedTuple):
    """The name of the next change: 16 bytes, and its number among the actor's."""

    actor: bytes
    seq: int


class Actors:
    """The actors of this process, by the key of the record.

    Args:
        entropy: gives so many random bytes.
    """

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._last: OrderedDict[bytes, Change] = OrderedDict()

    def turn(self, key: bytes, document: Document, heads: Sequence[bytes] | None = None) -> Turn:
        """The name of the next change.

        Args:
            key: of the record.
            document: as it shows now.
            heads: what the change is made upon; None for all that shows.

        Raises:
            MissingChangesError: there are no such heads.
        """
        last = self._last.get(key)
        if last is not None and _is_last(last, document, heads):
            return Turn(last.actor, last.seq + 1)
        return Turn(self._entropy(ACTOR_BYTES), 1)

    @staticmethod
    def again(key: bytes, retry: RetryKey) -> Turn:
        """The name of the change that a request makes wherever it is sent.

        A function of who asks, with which key and body, and for which record; so nothing else
        ever has it.
        """
        parts = (retry.agent.encode(), retry.key.encode(), retry.body, key)
        named = b"".join(len(one).to_bytes(2, "big") + one for one in parts)
        return Turn(hashlib.blake2b(named, digest_size=ACTOR_BYTES, person=_PERSON).digest(), 1)

    def drew(self, key: bytes, change: Change) -> None:
        """A change was made under the name that was given out for it."""
        self._last[key] = change
        self._last.move_to_end(key)
        while len(self._last) > _DOCUMENTS_MAX:
            self._last.popitem(last=False)


def _is_last(last: Change, document: Document, heads: Sequence[bytes] | None) -> bool:
    """Whether a change shows, among what is built upon, and no other of its actor comes after it.

    Somebody else may have brought a change in the name of this actor.
    """
    return last.hash in document and document.next_seq(last.actor, heads) == last.seq + 1

"""What a session has seen, and which node has shown how much of it.

Law: pure. The token that goes out covers everything this session wrote and read in the shared
lane, so the next read, on whichever node, is never older (session guarantees: Terry et al.,
1994). What a node's answer leaves out of its own token is held by every member and is
forgotten here too, so a token does not grow with the age of a session.
"""

import threading
from collections.abc import Mapping
from typing import Final

from crdt.dot import ACTOR_BYTES, PRIVATE, lane_of
from node.replication.tokens import Marks, decode_marks, encode_marks, name_of, split_marks

# A header of a node is bounded by 8 KiB; what is longer goes in several requests.
TOKEN_CHARS_MAX: Final = 6_000


def read_token(text: str | None) -> Marks:
    """The marks of a token; none for one that this version cannot read.

    Operations of the lane that never leaves a node are left out: no other node can reach them.
    """
    if not text:
        return {}
    try:
        marks = decode_marks(text)
    except ValueError:
        return {}
    return {mark: seq for mark, seq in marks.items() if lane_of(mark) != PRIVATE}


def covers(held: Mapping[bytes, int], wanted: Mapping[bytes, int]) -> bool:
    """Whether marks that were reached say that others are; they may be without saying so."""
    return all(_reached(held, mark) >= seq for mark, seq in wanted.items())


def _reached(held: Mapping[bytes, int], mark: bytes) -> int:
    """Up to which number; an actor may be named in full or in short."""
    short = held.get(name_of(mark), 0) if len(mark) == ACTOR_BYTES else 0
    return max(held.get(mark, 0), short)


class Seen:
    """The causal memory of one client; may be used by several threads.

    Args:
        nodes: how many nodes the client knows; they are named by their place.
    """

    def __init__(self, nodes: int) -> None:
        self._seen: Marks = {}
        self._shown: list[Marks] = [{} for _ in range(nodes)]
        self._lock = threading.Lock()

    def token(self) -> str:
        """All that was seen; `-` before anything was."""
        with self._lock:
            return encode_marks(self._seen)

    def tokens(self) -> list[str]:
        """The same in pieces that fit into a header: one, but where many tokens were adopted."""
        with self._lock:
            return split_marks(self._seen, TOKEN_CHARS_MAX)

    def behind(self, node: int) -> bool:
        """Whether a node has not shown yet that it holds all this session has seen."""
        with self._lock:
            return not covers(self._shown[node], self._seen)

    def wrote(self, node: int, token: str | None) -> None:
        """Take the token of an acknowledged write."""
        marks = read_token(token)
        with self._lock:
            self._raise(self._seen, marks)
            self._raise(self._shown[node], marks)

    def read(self, node: int, sent: str, token: str | None) -> None:
        """Take the token of an answer to a read.

        Args:
            node: who answered.
            sent: the token that went with the request; the node had reached it.
            token: the node's own.
        """
        before, after = read_token(sent), read_token(token)
        if token is None:
            return
        with self._lock:
            for mark in [m for m, seq in self._seen.items() if _reached(before, m) >= seq]:
                del self._seen[mark]
            self._raise(self._seen, after)
            shown = self._shown[node]
            self._raise(shown, before)
            self._raise(shown, after)
            # Only what is asked for later has to be remembered.
            self._shown[node] = {m: n for m, n in shown.items() if m in self._seen}

    def adopt(self, token: str) -> None:
        """Go on from what another session has seen."""
        with self._lock:
            self._raise(self._seen, read_token(token))

    @staticmethod
    def _raise(marks: Marks, by: Mapping[bytes, int]) -> None:
        for mark, seq in by.items():
            if seq > marks.get(mark, 0):
                marks[mark] = seq

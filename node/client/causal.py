"""What a session has seen, and which node has shown how much of it.

Law: pure. The token that goes out covers everything this session wrote and read in the shared
lane, so the next read, on whichever node, is never older (session guarantees: Terry et al.,
1994). What a node's answer leaves out of its own token is held by every member and is
forgotten here too, so a token does not grow with the age of a session.
"""

import threading
from collections.abc import Mapping
from typing import Final

from crdt.dot import PRIVATE, Actor, lane_of
from node.replication.tokens import decode_token, encode_token

# A header of a node is bounded by 8 KiB; what no longer fits was seen longest ago.
TOKEN_CHARS_MAX: Final = 6_000

Clock = dict[Actor, int]


def read_token(text: str | None) -> Clock:
    """The clock of a token; empty for one that this version cannot read.

    Operations of the lane that never leaves a node are left out: no other node can reach them.
    """
    if not text:
        return {}
    try:
        clock = decode_token(text)
    except ValueError:
        return {}
    return {actor: seq for actor, seq in clock.items() if lane_of(actor) != PRIVATE}


def covers(held: Mapping[Actor, int], wanted: Mapping[Actor, int]) -> bool:
    """Whether one clock has everything of another."""
    return all(held.get(actor, 0) >= seq for actor, seq in wanted.items())


class Seen:
    """The causal memory of one client; may be used by several threads.

    Args:
        nodes: how many nodes the client knows; they are named by their place.
    """

    def __init__(self, nodes: int) -> None:
        self._seen: Clock = {}
        self._shown: list[Clock] = [{} for _ in range(nodes)]
        self._lock = threading.Lock()

    def token(self) -> str:
        """The token to send; `-` before anything was seen."""
        with self._lock:
            newest = list(self._seen.items())[::-1]
            while True:
                text = encode_token(dict(newest))
                if len(text) <= TOKEN_CHARS_MAX:
                    return text
                newest = newest[: len(newest) * 3 // 4]

    def behind(self, node: int) -> bool:
        """Whether a node has not shown yet that it holds all this session has seen."""
        with self._lock:
            return not covers(self._shown[node], self._seen)

    def wrote(self, node: int, token: str | None) -> None:
        """Take the token of an acknowledged write."""
        clock = read_token(token)
        with self._lock:
            self._raise(self._seen, clock)
            self._raise(self._shown[node], clock)

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
            for actor, seq in before.items():
                if self._seen.get(actor, 0) <= seq:
                    self._seen.pop(actor, None)
            self._raise(self._seen, after)
            shown = self._shown[node]
            self._raise(shown, before)
            self._raise(shown, after)
            # Only what is asked for later has to be remembered.
            self._shown[node] = {a: n for a, n in shown.items() if a in self._seen}

    def adopt(self, token: str) -> None:
        """Go on from what another session has seen."""
        with self._lock:
            self._raise(self._seen, read_token(token))

    @staticmethod
    def _raise(clock: Clock, by: Mapping[Actor, int]) -> None:
        for actor, seq in by.items():
            if seq > clock.get(actor, 0):
                clock.pop(actor, None)  # to the end: dictionaries keep the order of entry
                clock[actor] = seq

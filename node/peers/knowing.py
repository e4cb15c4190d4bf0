"""Which members run a program that knows no documents.

Law: nothing is written into a document while a member is known to run such a program: it takes
the operations and serves the memory, but shows no text of it, and when it moves the memory it
leaves the changes behind. What a member knows it says in its greeting; the last word of each is
kept beside the store, for who is away cannot be asked. Members that there were before this note
was first written are taken for ones that know nothing, until they say otherwise; those that come
later are not.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from crdt.dot import NodeId
from crdt.governance_state import Member
from node.facts import read_note, write_note
from node.peers.greeting import DOCUMENTS, Greeting

_WITHOUT: Final = "without_documents"


class Knowing:
    """The note of one node.

    Args:
        path: of the note (0600), beside the store.
        members: node ids of those that there are at the start, but for this node.
    """

    def __init__(self, path: Path, members: Iterable[NodeId]) -> None:
        self._path = path
        data = read_note(path)
        if data is None:
            self._without = {node.hex() for node in members}
            self._write()
        else:
            told = data.get(_WITHOUT)
            self._without = {one for one in told or () if isinstance(one, str)}

    def greeted(self, greeting: Greeting) -> None:
        """Take note of what a linked node says."""
        name, knows = greeting.node_id.hex(), DOCUMENTS in greeting.kinds
        if knows == (name in self._without):
            (self._without.discard if knows else self._without.add)(name)
            self._write()

    def without(self, members: Mapping[NodeId, Member]) -> list[str]:
        """Names of the members, of those given, that know no documents; sorted."""
        if not self._without:
            return []
        found = (one for node, one in members.items() if node.hex() in self._without)
        return sorted(one.name or one.node_id.hex()[:16] for one in found)

    def _write(self) -> None:
        write_note(self._path, {_WITHOUT: sorted(self._without)})

"""One tantivy index of the two that words are kept in, as it is written.

Law: one thread writes. What was taken shows to whoever takes a searcher after the next
`commit`, all of it or none. What changes nothing is not written, so that what one index shows
depends on what was written to it and on nothing else.
"""

from pathlib import Path
from typing import Final

import tantivy

from node import failpoints
from node.recall import schema as s
from node.recall.threads import hush

_META: Final = "meta.json"


class Part:
    """An index in one folder.

    Args:
        folder: where it lies, made when it is not there; None keeps it in memory.
        schema: of its documents.
        heap_bytes: room for what was taken and is not written yet; used when it is needed.

    Raises:
        ValueError: what lies there is no index that this version can read.
    """

    def __init__(self, folder: Path | None, schema: tantivy.Schema, heap_bytes: int) -> None:
        path = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            path = str(folder)
        self._heap_bytes = heap_bytes
        self._index = tantivy.Index(schema, path=path)
        s.register_all(self._index)
        # Without this a thread looks at the folder twice a second, for a change we know of.
        self._index.config_reader(reload_policy="manual")
        self._index.reload()
        self._writer: tantivy.IndexWriter | None = None
        self.changed = False
        """Whether anything was taken that does not show yet."""
        self.urgent = False
        """Whether what a commit starts runs as everything else does."""
        self._unshown = False
        self._added: set[str] = set()
        """Keys that were added and do not show yet."""
        self.searcher = self._index.searcher()
        self._bare = not self.searcher.num_segments

    def remove(self, key: str) -> None:
        """Forget a document, if there may be one: looking for what is not there costs more."""
        if key in self._added or self.holds(key):
            self._writing().delete_documents_by_term(s.KEY, key)

    def add(self, key: str, document: tantivy.Document) -> None:
        """Take a document in; whoever adds has removed what was there."""
        self._added.add(key)
        self._writing().add_document(document)

    def remove_all_of(self, query: tantivy.Query) -> None:
        """Forget what a query finds."""
        self._writing().delete_documents_by_query(query)

    def holds(self, key: str) -> bool:
        """Whether a document shows, or showed lately."""
        return not self._bare and bool(self.searcher.doc_freq(s.KEY, key))

    def clear(self) -> None:
        """Forget everything."""
        self._writing().delete_all_documents()

    def commit(self) -> None:
        """Put what was taken on the disk, and where the next searcher sees it."""
        if self.changed and self._writer is not None:
            self._unshown = True
            failpoints.hit("recall.commit")
            self._writer.commit()
            if not self.urgent:
                hush()
            self.changed = False

    def show(self) -> bool:
        """See what was committed; whether anything was since this was last done."""
        if not self._unshown:
            return False
        self._index.reload()
        self.searcher = self._index.searcher()
        self._bare = not self.searcher.num_segments
        self._unshown = False
        if not self.changed:
            self._added.clear()
        return True

    def _writing(self) -> tantivy.IndexWriter:
        if self._writer is None:
            self._writer = self._index.writer(heap_size=self._heap_bytes, num_threads=1)
            hush()
        self.changed = True
        return self._writer

    def settle(self) -> bool:
        """Let go of the room that writing takes, until something is written again.

        Returns:
            Whether there was any.
        """
        if self.changed or self._writer is None:
            return False
        writer, self._writer = self._writer, None
        writer.wait_merging_threads()
        return True

    def close(self) -> None:
        """Let go of the folder; what was not committed is forgotten."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.rollback()
            writer.wait_merging_threads()


def is_there(folder: Path) -> bool:
    """Whether an index was begun in a folder."""
    return (folder / _META).exists()

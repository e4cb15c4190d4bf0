"""The lexical index: tantivy over the documents of this node.

Law: one thread writes, any thread reads. What was taken shows after the next `flush`, all of
it or none. Taking a change twice leaves what taking it once does, so a feed may be repeated
from any earlier position. A key is in the index at most once.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import tantivy

from node.recall import lexical_query
from node.recall import schema as s
from node.recall.document import id_of
from node.recall.filters import Clause, clauses, over, term
from node.recall.literal import marks
from node.recall.values import Change, Filters, Hit

NAME: Final = "lexical"
HEAP_BYTES: Final = 20_000_000
_MUST: Final = tantivy.Occur.Must


class Lexical:
    """An `Engine` over one folder.

    Args:
        folder: where the index lives, made when it is not there; None keeps it in memory.

    Raises:
        ValueError: what lies there is no index that this version can read.
    """

    name: Final = NAME

    def __init__(self, folder: Path | None) -> None:
        self._schema = s.build_schema()
        path = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            path = str(folder)
        self._index = tantivy.Index(self._schema, path=path)
        s.register_all(self._index)
        # Without this a thread looks at the folder twice a second, for a change we know of.
        self._index.config_reader(reload_policy="manual")
        self._index.reload()
        self._writer: tantivy.IndexWriter | None = None
        self._searcher = self._index.searcher()

    # --- writing: one thread -------------------------------------------------------

    def take(self, changes: Iterable[Change]) -> None:
        """Learn of changes; they show after the next `flush`."""
        writer = self._writing()
        for key, document in changes:
            writer.delete_documents_by_term(s.KEY, key)
            if document is not None:
                writer.add_document(s.indexed(document))

    def drop_ended(self, now_ms: int) -> None:
        """Forget what has ended; it is gone after the next `flush`."""
        if self._searcher.doc_freq(s.TRAITS, s.ENDING):
            self._writing().delete_documents_by_query(over(self._schema, now_ms))

    def flush(self) -> None:
        """Put what was taken on the disk and where it shows."""
        if self._writer is not None:
            self._writer.commit()
            self._index.reload()
            self._searcher = self._index.searcher()

    def clear(self) -> None:
        """Forget everything."""
        self._writing().delete_all_documents()
        self.flush()

    def _writing(self) -> tantivy.IndexWriter:
        if self._writer is None:
            self._writer = self._index.writer(heap_size=HEAP_BYTES, num_threads=1)
        return self._writer

    def close(self) -> None:
        """Let go of the folder; what was not flushed is forgotten."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.rollback()
            writer.wait_merging_threads()

    # --- reading: any thread -------------------------------------------------------

    @property
    def documents(self) -> int:
        """How many documents show."""
        return int(self._searcher.num_docs)

    @property
    def dead(self) -> int:
        """How many replaced or removed documents still take room."""
        searcher = self._searcher
        return max(int(searcher.doc_freq(s.TRAITS, s.EVERY)) - int(searcher.num_docs), 0)

    def found_in(self, field: str, word: str) -> int:
        """How many documents hold an analysed word in a field."""
        return int(self._searcher.doc_freq(field, word))

    def find(self, text: str, filters: Filters, limit: int) -> Sequence[Hit]:
        """The best documents by their words that pass all filters, best first."""
        return self.snapshot().find(text, filters, limit)

    def newest(self, filters: Filters, limit: int) -> list[tuple[str, int]]:
        """The newest documents that pass all filters: key and creation in milliseconds."""
        return self.snapshot().newest(filters, limit)

    def snapshot(self) -> "Snapshot":
        """What shows now, to be asked several times."""
        return Snapshot(self._searcher, self._schema)


class Snapshot:
    """The index as it was when it was taken; any thread may ask."""

    def __init__(self, searcher: tantivy.Searcher, schema: tantivy.Schema) -> None:
        self._searcher = searcher
        self._schema = schema

    def find(self, text: str, filters: Filters, limit: int) -> Sequence[Hit]:
        """See `Lexical.find`."""
        words = lexical_query.build(text, self._schema, searcher=self._searcher)
        return self._ranked([(_MUST, words)], filters, limit, 0)

    def newest(self, filters: Filters, limit: int, offset: int = 0) -> list[tuple[str, int]]:
        """See `Lexical.newest`; those after the first `offset`."""
        parts = [(_MUST, tantivy.Query.all_query()), *self._clauses(filters)]
        query = tantivy.Query.boolean_query(parts)
        if limit <= 0:
            return []
        found = self._searcher.search(
            query, limit=limit, count=False, order_by_field=s.CREATED, offset=offset
        ).hits
        keys = s.keys_at(self._searcher, [place for _, place in found])
        return [(key, int(ms)) for key, (ms, _) in zip(keys, found, strict=True)]

    def holding(self, text: str, filters: Filters, limit: int, offset: int) -> Sequence[Hit]:
        """Documents that hold every mark of a text, the best by its words first.

        That their marks are all there says not yet that the text is: whoever asks looks.
        """
        parts = [
            (_MUST, tantivy.Query.const_score_query(term(self._schema, s.MARKS, mark), 0.0))
            for mark in sorted(marks(text))
        ]
        words = lexical_query.build(text, self._schema, searcher=self._searcher)
        parts.append((tantivy.Occur.Should, words))
        return self._ranked(parts, filters, limit, offset)

    def allowed(self, keys: Sequence[str], filters: Filters) -> set[str]:
        """Those of some keys whose documents pass all filters."""
        if not keys:
            return set()
        parts = [
            (_MUST, tantivy.Query.term_set_query(self._schema, s.KEY, list(keys))),
            *self._clauses(filters),
        ]
        query = tantivy.Query.boolean_query(parts)
        found = self._searcher.search(query, limit=len(keys), count=False).hits
        return set(s.keys_at(self._searcher, [place for _, place in found]))

    def _clauses(self, filters: Filters) -> list[Clause]:
        return clauses(self._searcher, self._schema, filters)

    def _ranked(
        self, parts: list[Clause], filters: Filters, limit: int, offset: int
    ) -> Sequence[Hit]:
        parts = [*parts, *self._clauses(filters)]
        alone = len(parts) == 1 and parts[0][0] == _MUST
        query = parts[0][1] if alone else tantivy.Query.boolean_query(parts)
        found = self._searcher.search(query, limit=limit, count=False, offset=offset).hits
        keys = s.keys_at(self._searcher, [place for _, place in found])
        return [
            Hit(key, id_of(key), float(score), NAME)
            for key, (score, _) in zip(keys, found, strict=True)
        ]

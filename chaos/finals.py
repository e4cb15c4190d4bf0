"""`final` lines that say only in what a node differs from another.

Law: equal nodes are the rule after a heal, and their lines are most of a history. So the first
node that was read is written in full; another one names it in `same_as` and has every field, and
every record, that is not the same, and in `without` the ids that it lacks. What is left out was
read and compared before it was left out; read back, each line is whole again.
"""

from collections.abc import Mapping
from typing import Any, Final

Row = Mapping[str, Any]

_ALIKE: Final = ("clock", "digest", "policies", "standards")


def shortened(fields: Row, first: Row | None) -> dict[str, Any]:
    """The fields of a `final` line without what another line of the same reading has said.

    Args:
        fields: of the line, in full.
        first: in full, of the node that is referred to; None, or with an `error`, for none.
    """
    if first is None or "error" in first or "error" in fields:
        return dict(fields)
    alike = {name for name in _ALIKE if name in fields and fields[name] == first.get(name)}
    kept = {name: held for name, held in fields.items() if name not in {*alike, "records"}}
    kept["same_as"] = first["node"]
    ours, theirs = fields["records"], first["records"]
    if unlike := {i: held for i, held in ours.items() if _mark(held) != _mark(theirs.get(i))}:
        kept["records"] = unlike
    if lacking := [ident for ident in theirs if ident not in ours]:
        kept["without"] = lacking
    return kept


def _mark(held: Row | None) -> tuple[Any, bool] | None:
    return None if held is None else (held["hash"], held.get("present", True))


class Restorer:
    """Makes `final` lines whole again, in the order of the file."""

    def __init__(self) -> None:
        self._of: tuple[Any, Any] = (None, None)
        self._rows: dict[str, Row] = {}

    def whole(self, row: Row) -> Row:
        """A `final` line with all its fields.

        Raises:
            KeyError: it has no node.
            ValueError: the node that it refers to was not read before it.
        """
        of = (row.get("cycle"), row.get("scope"))
        if of != self._of:
            self._of, self._rows = of, {}
        if "same_as" in row:
            first = self._rows.get(row["same_as"])
            if first is None:
                raise ValueError(f"same_as names a node that was not read: {row['same_as']!r}")
            row = _restored(row, first)
        self._rows[row["node"]] = row
        return row


def _restored(row: Row, first: Row) -> Row:
    without = set(row.get("without", ()))
    # Values are shown once a cycle, by whoever was read first.
    records = {
        ident: {name: part for name, part in held.items() if name != "value"}
        for ident, held in first["records"].items()
        if ident not in without
    }
    shared = {name: first[name] for name in _ALIKE if name in first}
    return {**shared, **row, "records": {**records, **row.get("records", {})}}

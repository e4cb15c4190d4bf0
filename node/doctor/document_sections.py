"""The section about documents: what is set aside in them, what is nearly full or not folded.

Law: pure. It is left out where nothing is wrong. What was counted is of documents that this node
has opened since its start.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from node.doctor.facts import DocumentFacts, Facts
from node.doctor.finding import INFO, WARNING, Finding, Kind, kind
from node.doctor.steps import node_command
from node.documents.troubles import FULL, SET_ASIDE, UNFOLDED, Trouble

SOME_SET_ASIDE: Final = kind(
    "documents-set-aside",
    WARNING,
    means="Something is stored with a document that is no part of it: bytes that are no change, or "
    "changes that lack what they were made upon. All nodes leave out the same. Among honest "
    "members there is none, but for what hangs on an approval that was taken back.",
    do="See `set_aside` of the document: names and reasons; then which member wrote them, in its "
    "history as a memory. What is good of it goes on; to be rid of the rest, write its text into a "
    "new document.",
)
NEARLY_FULL: Final = kind(
    "documents-nearly-full",
    WARNING,
    means="A document has reached four fifths of a bound: changes, operations, or bytes in its "
    "record. At the bound its edits are refused with 413.",
    do="Go on in a new document with the same text; or raise the limit, on all members alike.",
)
NOT_FOLDED: Final = kind(
    "documents-not-folded",
    INFO,
    means="A document holds 128 single changes or more. They are folded into less room when every "
    "member holds them, so a member is behind or away; with 256 it is done all the same.",
    do="Bring the member back, or remove it from the mesh. The next edit folds.",
)
CANNOT_READ: Final = kind(
    "documents-wait-for-upgrade",
    WARNING,
    means="A member runs a program that knows no documents, or has not been seen since this node "
    "was upgraded. Until then nobody here can edit documents (409 `members_outdated`), for that "
    "member would lose what is written.",
    do="Upgrade that member, or remove it from the mesh.",
)
KINDS: Final[tuple[Kind, ...]] = (SOME_SET_ASIDE, NEARLY_FULL, NOT_FOLDED, CANNOT_READ)


def documents(facts: Facts) -> list[Finding]:
    """What is wrong with documents; nothing where nothing is."""
    return [] if facts.documents is None else list(_found(facts, facts.documents))


def _found(facts: Facts, seen: DocumentFacts) -> Iterator[Finding]:
    aside, full, unfolded = (seen.troubles.get(name) for name in (SET_ASIDE, FULL, UNFOLDED))
    if aside is not None and aside.count:
        yield SOME_SET_ASIDE(
            f"of {_named(aside)} something is set aside and not shown",
            fix=f"See what and why under set_aside: {_show(facts, aside)}",
        )
    if full is not None and full.count:
        yield NEARLY_FULL(
            f"{_named(full)} reached four fifths of a bound",
            fix="Go on in a new document, or raise the document_* limits on all members alike",
        )
    if unfolded is not None and unfolded.count:
        waits = f"; {_listed(seen.away)} is away" if seen.away else ""
        yield NOT_FOLDED(f"the changes of {_named(unfolded)} could not be folded yet{waits}")
    if seen.without:
        yield CANNOT_READ(
            f"{_listed(seen.without)} cannot read documents, so nobody can edit them here",
            fix=f"Upgrade {_listed(seen.without)} and let it link, or remove it from the mesh",
        )


def _named(trouble: Trouble) -> str:
    """How many, and which: `2 documents (a, b)`."""
    count = "1 document" if trouble.count == 1 else f"{trouble.count} documents"
    more = ", ..." if trouble.named and trouble.count > len(trouble.named) else ""
    return f"{count} ({', '.join(trouble.named)}{more})" if trouble.named else count


def _show(facts: Facts, trouble: Trouble) -> str:
    ident = trouble.named[0] if trouble.named else "ID"
    return node_command(facts, f"doc show {ident} --json")


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)

"""What an operator is told of documents: what is set aside, nearly full, not folded."""

from crdt.document.gathering import gather
from crdt.document.model import Change, DocumentLimits, Stored
from crdt.document.opened import Document
from crdt.dot import DATA, PRIVATE, Dot
from crdt.fields import CHUNK_MARK
from node.documents.folding import SINGLES_MAX, SINGLES_MIN
from node.documents.sheet import Sheet
from node.documents.troubles import FULL, SET_ASIDE, SINGLES_MANY, UNFOLDED, Troubles
from tests.integration.rig_documents import change_of, change_upon
from tests.unit.node.documents.rig import mesh

LIMITS = DocumentLimits(changes_max=1000)


def stored(change: Change, data: bytes | None = None) -> Stored:
    return Stored(CHUNK_MARK + change.hash.hex(), data or change.data, "ann", 1, Dot(b"a", 1))


def opened(troubles: Troubles, *chunks: Stored, ident: str = "plan", lane: bytes = DATA) -> None:
    sheet = Sheet(lane + b"memory/" + ident.encode(), ident, chunks, None)
    gathered = gather(chunks)
    troubles.opened(sheet, gathered, Document.opened(gathered, LIMITS).aside)


def chain(count: int) -> list[Stored]:
    changes = [change_of("k")]
    while len(changes) < count:
        changes.append(change_upon(changes[-1:], len(changes)))
    return [stored(one) for one in changes]


def counts(troubles: Troubles) -> dict[str, int]:
    return {name: one.count for name, one in troubles.now().items() if one.count}


def test_what_is_set_aside_is_told_until_it_is_gone() -> None:
    troubles, good = Troubles(LIMITS), change_of("k")
    opened(troubles, stored(good))
    assert counts(troubles) == {}
    opened(troubles, stored(good), stored(change_of("other"), b"no change"))
    assert counts(troubles) == {SET_ASIDE: 1}
    assert troubles.now()[SET_ASIDE].named == ("plan",)
    opened(troubles, stored(good))
    assert counts(troubles) == {}


def test_a_document_near_a_bound_and_one_that_waits_to_be_folded() -> None:
    troubles, many = Troubles(LIMITS), chain(800)
    opened(troubles, *many[: SINGLES_MANY - 1])
    assert counts(troubles) == {}
    opened(troubles, *many[:SINGLES_MANY])
    assert counts(troubles) == {UNFOLDED: 1}
    opened(troubles, *many)
    assert counts(troubles) == {UNFOLDED: 1, FULL: 1}


def test_some_are_named_and_none_that_is_private() -> None:
    troubles, bad = Troubles(LIMITS), stored(change_of("k"), b"no change")
    for number in range(5):
        opened(troubles, bad, ident=f"d{number}")
    opened(troubles, bad, ident="a-diary", lane=PRIVATE)
    told = troubles.now()[SET_ASIDE]
    assert (told.count, told.named) == (6, ("d0", "d1", "d2"))


async def test_what_waits_for_a_member_is_told_while_it_waits() -> None:
    async with mesh("a", "away") as (side, _):
        ident = await side.create("one")
        for _ in range(SINGLES_MAX - SINGLES_MIN):
            await side.type(ident, "!")
        assert counts(side.engine.shelf.troubles) == {UNFOLDED: 1}
        for _ in range(SINGLES_MIN + 1):
            await side.type(ident, "!")
        assert counts(side.engine.shelf.troubles) == {}, "it was folded all the same"


async def test_a_document_that_ended_is_in_no_trouble() -> None:
    async with mesh("a") as (side,):
        troubles = side.engine.shelf.troubles
        side.engine.on_commit.append(troubles.saw)
        ident = await side.create("one")
        await side.type(ident, " two")
        sheet = side.held(ident).sheet
        assert sheet is not None
        troubles.opened(sheet, side.engine.shelf.gathered(sheet), ["something"])
        assert troubles.now()[SET_ASIDE].named == (ident,)
        await side.put(ident, title="other")
        assert troubles.now()[SET_ASIDE].count == 1
        await side.put(ident, memory_kind="observation")
        assert troubles.now()[SET_ASIDE].count == 0

"""Whether something is known already.

Law: nothing is written, and nothing that the caller may not see is a candidate. Candidates
come from the index of recall, so that a large store is not walked; without one the newest
memories are looked at. Comparing is done aside, off the loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from node.contracts import Caller, Held
from node.lifecycle.likeness import Shape, likeness, shape, together
from node.limits import Limits
from node.memory.memories import Memories
from node.memory.problems import InvalidField
from node.memory.record import visible_to
from node.memory.rules import CHECKS, namespace, whole

THRESHOLD_DEFAULT: Final = 0.85
LIMIT_DEFAULT: Final = 5
LIMIT_MAX: Final = 50
CANDIDATES_MAX: Final = 200
SCANNED_MAX: Final = 2000
_STRIDE: Final = 64

Candidates = Callable[[str, str | None, Caller, int], Awaitable[Sequence[str]]]
"""(text, namespace, viewer, at most) -> ids of memories that may be like the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a request wants to know.

    Attributes:
        title: empty when only contents are compared.
        threshold: from which likeness on it is a duplicate.
    """

    title: str
    content: str
    namespace: str | None
    threshold: float
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A memory, and how like it is."""

    id: str
    title: str
    namespace: str
    similarity: float

    def shown(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.id,
            "title": self.title,
            "namespace": self.namespace,
            "similarity": self.similarity,
        }


def question_of(body: dict[str, Any], limits: Limits) -> Question:
    """What a request wants to know.

    Raises:
        InvalidField: a field cannot be taken.
    """
    get = body.get
    if get("content") is None:
        raise InvalidField("content", "is required")
    title = "" if get("title") is None else CHECKS["title"]("title", get("title"), limits)
    space = get("namespace")
    limit = LIMIT_DEFAULT if get("limit") is None else whole("limit", get("limit"), 1, 2**53)
    return Question(
        title=title,
        content=CHECKS["content"]("content", get("content"), limits),
        namespace=None if space is None else namespace("namespace", space, limits),
        threshold=_threshold(get("threshold")),
        limit=min(limit, LIMIT_MAX),
    )


def _threshold(value: Any) -> float:
    if value is None:
        return THRESHOLD_DEFAULT
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise InvalidField("threshold", "expected a number from 0 to 1")
    return float(value)


async def nearest(
    memories: Memories, question: Question, viewer: Caller, candidates: Candidates | None
) -> tuple[list[Match], int]:
    """The memories most like a text, the nearest first, and how many were compared.

    Args:
        memories: where.
        question: the text.
        viewer: who asks.
        candidates: finds what may be alike; None looks at the newest.
    """
    if candidates is None:
        found = await _newest(memories, question.namespace, viewer)
    else:
        text = f"{question.title} {question.content}".strip()
        ids = await candidates(text, question.namespace, viewer, CANDIDATES_MAX)
        seen = (memories.seen(one, viewer) for one in ids)
        found = [held for held in seen if held is not None]
    found = [one for one in found if question.namespace in (None, one.view.namespace)]
    matches = await asyncio.to_thread(_compared, question, found)
    return matches[: question.limit], len(found)


async def _newest(memories: Memories, space: str | None, viewer: Caller) -> list[Held]:
    found: list[Held] = []
    for step, held in enumerate(memories.funnel.reader().recent(space), start=1):
        if visible_to(held, viewer):
            found.append(held)
        if step >= SCANNED_MAX:
            break
        if step % _STRIDE == 0:
            await asyncio.sleep(0)
    return found


def _compared(question: Question, found: Sequence[Held]) -> list[Match]:
    title, content = shape(question.title), shape(question.content)
    matches = [_match(held, question, title, content) for held in found]
    return sorted(matches, key=lambda match: (-match.similarity, match.id))


def _match(held: Held, question: Question, title: Shape, content: Shape) -> Match:
    said = str(held.view.values.get("title", ""))
    alike = likeness(content, shape(str(held.view.values.get("content", ""))))
    if question.title:
        alike = together(likeness(title, shape(said)), alike)
    return Match(id=held.id, title=said, namespace=held.view.namespace, similarity=round(alike, 4))

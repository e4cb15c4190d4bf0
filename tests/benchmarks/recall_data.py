"""Conversations with questions, and how well a ranking answers them.

Law: the data is read where the operator says it is and never copied. A question counts once;
one without evidence among the turns does not count.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

CATEGORIES: Final = {1: "several hops", 2: "time", 3: "open domain", 4: "one hop"}
KS: Final = (5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One utterance.

    Attributes:
        conversation, session, id: where it stands.
        date: as the data writes it.
        speaker, text: who said what.
    """

    conversation: str
    session: int
    id: str
    date: str
    speaker: str
    text: str

    @property
    def metadata(self) -> dict[str, Any]:
        """What is stored beside the text."""
        return {
            "speaker": self.speaker,
            "session_id": f"{self.conversation}/{self.session}",
            "date": self.date,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question with the turns that answer it."""

    conversation: str
    text: str
    evidence: frozenset[str]
    category: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Averages over questions: any and all of the evidence among the first k, and the mean
    reciprocal rank of the first."""

    questions: int
    any_at: Mapping[int, float]
    all_at: Mapping[int, float]
    mrr: float


def read(path: Path) -> tuple[list[Turn], list[Question]]:
    """The turns, in order, and the questions that have an answer."""
    turns: list[Turn] = []
    questions: list[Question] = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["type"] == "turn":
                turns.append(Turn(**{name: row[name] for name in Turn.__dataclass_fields__}))
            elif row["category"] in CATEGORIES:
                questions.append(
                    Question(
                        conversation=row["conversation"],
                        text=row["question"],
                        evidence=frozenset(row["evidence"]),
                        category=row["category"],
                    )
                )
    known = {(turn.conversation, turn.id) for turn in turns}
    answered = [
        one for one in questions if any((one.conversation, e) in known for e in one.evidence)
    ]
    return turns, answered


def judge(pairs: Iterable[tuple[Question, Sequence[str]]]) -> Quality:
    """How good rankings (ids of turns, best first) are."""
    found = list(pairs)
    count = max(len(found), 1)
    return Quality(
        questions=len(found),
        any_at={k: sum(bool(q.evidence & set(r[:k])) for q, r in found) / count for k in KS},
        all_at={k: sum(q.evidence <= set(r[:k]) for q, r in found) / count for k in KS},
        mrr=sum(_first(question, ranking) for question, ranking in found) / count,
    )


def by_category(answers: Sequence[tuple[Question, Sequence[str]]]) -> dict[str, Quality]:
    """For all questions, and for those of each category."""
    out = {"all": judge(answers)}
    for number, name in CATEGORIES.items():
        out[name] = judge((q, r) for q, r in answers if q.category == number)
    return out


def _first(question: Question, ranking: Sequence[str]) -> float:
    for rank, turn in enumerate(ranking, start=1):
        if turn in question.evidence:
            return 1 / rank
    return 0.0

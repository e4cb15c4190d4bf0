"""Random governance on three replicas: one verdict everywhere (I11), and never a laxer one."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property import governance_laws as laws
from tests.property.governance_histories import governances

LAWS: dict[str, Callable[[Any, Any], None]] = {
    "equal history, equal state and verdicts, in any order": laws.one_verdict,
    "what the other side has not seen stands": laws.nothing_unseen_goes,
    "nothing reaches beyond its own subject": laws.own_subject_only,
    "concurrent versions are no laxer than each": laws.stricter_together,
    "what arrives late makes nothing laxer": laws.late_is_never_laxer,
}


@pytest.mark.parametrize("law", LAWS)
@given(drawn=governances(), choose=st.randoms(use_true_random=False))
def test_governance_keeps(law: str, drawn: Any, choose: Any) -> None:
    LAWS[law](drawn, choose)

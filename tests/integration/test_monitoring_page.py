"""What the page on monitoring tells people to run first can be run."""

import re

import pytest

from node.errors import Exit
from tests.architecture.monitoring_page import PAGE, ROOT, alerts
from tests.integration.rig import RealNode
from tests.integration.rig_commands import mnemesh

pytestmark = [pytest.mark.integration, pytest.mark.slow]
_FINE = {0, int(Exit.DOCTOR_WARNS), int(Exit.DOCTOR_CRITICAL)}


def test_every_first_command_runs(keyed: RealNode) -> None:
    text = (ROOT / PAGE).read_text()
    first = re.findall(r"^First: `mnemesh ([^`]+)`\.", text, re.MULTILINE)
    assert len(first) == len({alert.name for alert in alerts()})
    for words in sorted(set(first)):
        ran = mnemesh(*words.split(), node=keyed)
        assert ran.code in _FINE, f"{words}: {ran.code}\n{ran.err}"
        assert ran.out.strip(), words

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.auth.rig import World, started


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with started(tmp_path / "nonces") as world:
        yield world

"""The JavaScript library, shared by the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.interop.rig import Oracle, oracle_of_the_library


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """The library in a process."""
    with oracle_of_the_library() as one:
        yield one

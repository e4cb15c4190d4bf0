"""Dropping a connection."""

import asyncio

from transport.ending import drop


class Ended(asyncio.Transport):
    """What a TLS transport of Python before 3.11.4 does after its end."""

    def abort(self) -> None:
        raise AttributeError("'NoneType' object has no attribute '_abort'")


def test_a_connection_that_has_ended_stays_so() -> None:
    drop(Ended())

"""The HTTP server of a node in memory, for requests that are traced."""

from tests.unit.http.conftest import start

__all__ = ["start"]

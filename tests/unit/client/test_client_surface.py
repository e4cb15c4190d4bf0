"""The public face: one set of methods, awaited or not, that costs nothing to import."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import node.client
from node.client import ApiError, AsyncClient, Client, ClientError
from node.client import errors as every_error
from node.client.errors import api_error


def public(kind: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(value)
        for name, value in inspect.getmembers(kind)
        if not name.startswith("_") and callable(value)
    }


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    waits, awaits = public(Client), public(AsyncClient)
    # Many stores at once are for code that awaits; who blocks sends them with `store_many`.
    assert {"aclose" if name == "close" else name for name in waits} == set(awaits) - {"ingest"}
    for name, signature in waits.items():
        other = awaits["aclose" if name == "close" else name]
        assert list(signature.parameters.values()) == list(other.parameters.values()), name


def test_all_names_are_there_and_in_order() -> None:
    assert node.client.__all__ == sorted(node.client.__all__)
    assert all(hasattr(node.client, name) for name in node.client.__all__)
    errors = {
        name
        for name, value in vars(every_error).items()
        if isinstance(value, type) and issubclass(value, ClientError)
    }
    assert errors <= set(node.client.__all__)


def test_importing_it_loads_neither_httpx_nor_tls() -> None:
    code = (
        "import sys, node.client;"
        "print([m for m in ('httpx', 'tantivy', 'typer', 'lmdb') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(node.client.__file__).parents[1] / "py.typed").is_file()


@pytest.mark.parametrize(
    "status", [400, 401, 403, 404, 405, 409, 412, 413, 418, 429, 500, 503, 507]
)
@pytest.mark.parametrize("body", [{"error": "c", "detail": "d"}, {}, [], "text", None])
def test_every_error_status_has_an_error(status: int, body: object) -> None:
    error = api_error(status, body)
    assert isinstance(error, ApiError)
    assert error.status == status
    assert error.code
    assert str(status) in str(error)

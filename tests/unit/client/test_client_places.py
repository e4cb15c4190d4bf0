"""What a client may be told, and what it refuses before anything is sent."""

from pathlib import Path
from typing import Any

import pytest

from node.client import AsyncClient, BadArgument, Client
from node.client.call import make_call, plain, segment
from node.client.places import settle

PIN = "ab" * 32


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("ftp://x", {}, "no http"),
        ("http://", {}, "no http"),
        ("http://127.0.0.1:99999", {}, "url"),
        ("https://user:pw@node:9077", {}, "do not belong"),
        ("https://node:9077?api_key=x", {}, "do not belong"),
        ("http://node-a.example:9077", {}, "in the clear"),
        ("http://10.0.0.1:9077", {"api_key": "k"}, "in the clear"),
        ([], {}, "at least one"),
        ("https://node", {"fingerprint": "abc"}, "fingerprint"),
        ("https://node", {"fingerprint": [PIN, PIN]}, "2 are given for 1"),
        ("http://127.0.0.1:1", {"fingerprint": PIN}, "only a certificate"),
        ("https://node", {"api_key": "k", "api_key_file": "f"}, "one of them"),
        ("https://node", {"api_key": "schlüssel"}, "ASCII"),
        ("https://node", {"agent_id": "a\nb"}, "agent_id"),
        ("https://node", {"identity_file": "f"}, "agent_id whose"),
        ("https://node", {"api_kee": "k"}, "'api_kee'"),
    ],
)
def test_what_cannot_be_meant_is_refused(url: Any, options: Any, words: str) -> None:
    with pytest.raises(BadArgument, match=words):
        settle(url, options)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9077", "http://localhost:9077/", "http://[::1]:9077", "https://n:1"]
)
def test_what_is_safe_is_taken(url: str) -> None:
    assert settle(url, {}).places[0].url == url.rstrip("/")


def test_fingerprints_are_read_in_every_usual_spelling() -> None:
    spelt = "sha256:" + ":".join(PIN.upper()[at : at + 2] for at in range(0, 64, 2))
    assert settle("https://node", {"fingerprint": spelt}).places[0].pin == PIN
    both = settle(["https://a", "https://b"], {"fingerprint": [PIN, "cd" * 32]})
    assert [place.pin for place in both.places] == [PIN, "cd" * 32]


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("secret\n")
    file.chmod(0o644)
    with pytest.raises(BadArgument, match="api_key_file"):
        settle("https://node", {"api_key_file": file})
    file.chmod(0o600)
    settled = settle("https://node", {"api_key_file": file})
    assert settled.headers_for(0)["x-api-key"] == "secret"
    assert "secret" not in repr(settled)


def test_each_node_is_shown_its_own_key(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        file.write_text(f"key of {file.name}")
        file.chmod(0o600)
    settled = settle(["https://a", "https://b"], {"api_key_file": files})
    assert [settled.headers_for(node)["x-api-key"] for node in (0, 1)] == ["key of a", "key of b"]
    with pytest.raises(BadArgument, match="1 are given for 2"):
        settle(["https://a", "https://b"], {"api_key_file": files[:1]})


def test_neither_client_shows_its_key() -> None:
    with Client(api_key="secret") as client:
        assert "secret" not in repr(client)
    assert "secret" not in repr(AsyncClient(api_key="secret"))


@pytest.mark.parametrize("path", ["memories", "/memories?x=1", "/memories#x", ""])
def test_a_path_is_a_path(path: str) -> None:
    with pytest.raises(BadArgument, match="path"):
        make_call("GET", path, plain)


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": object()}, {"x": "\ud800"}])
def test_a_body_that_json_cannot_say_is_refused(body: object) -> None:
    with pytest.raises(BadArgument, match="body"):
        make_call("POST", "/memories", plain, body=body)


def test_an_id_cannot_lead_anywhere_else() -> None:
    assert segment("a/../b?c") == "a%2F..%2Fb%3Fc"
    for text in ("", ".", ".."):
        with pytest.raises(BadArgument):
            segment(text)


def test_reads_by_post_are_no_writes() -> None:
    assert not make_call("POST", "/recall", plain, body={}).writes
    assert make_call("POST", "/memories", plain, body={}).writes
    assert not make_call("GET", "/memories", plain).writes


def test_parameters_are_spelt_as_the_api_wants_them() -> None:
    params = {"tags": ["a", "b"], "inherit": True, "none": None, "q": "ä &"}
    call = make_call("GET", "/memories", plain, params=params)
    assert call.query == "tags=a%2Cb&inherit=true&q=%C3%A4+%26"

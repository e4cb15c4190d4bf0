import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model2vec import StaticModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from node.errors import ConfigError, LooseModes
from node.recall.beside import embedder_of, opener_of
from node.recall.embeddings import (
    EmbeddingsAway,
    EmbeddingsFailed,
    EndpointEmbedder,
    EndpointTarget,
    LocalEmbedder,
    TextsRefused,
)
from node.recall.fuzzy import HashedGrams
from node.recall.values import Change, Document, Filters
from node.settings.sections import Embeddings

Respond = Callable[[dict[str, Any]], tuple[int, bytes]]


class StandIn:
    """A local endpoint that notes what it is asked."""

    def __init__(
        self, url: str, asked: list[dict[str, Any]], headers: list[dict[str, str]]
    ) -> None:
        self.url, self.asked, self.headers = url, asked, headers

    def embedder(self, **more: Any) -> EndpointEmbedder:
        return EndpointEmbedder(EndpointTarget(url=self.url, model="m", **more))


@contextmanager
def endpoint(respond: Respond) -> Iterator[StandIn]:
    asked: list[dict[str, Any]] = []
    headers: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append({"path": self.path, **body})
            headers.append({name.lower(): value for name, value in self.headers.items()})
            status, data = respond(body)
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.send_header("location", "/elsewhere")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield StandIn(f"http://127.0.0.1:{server.server_port}/v1", asked, headers)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def good(body: dict[str, Any]) -> tuple[int, bytes]:
    """Vectors [length, 1], in reverse order."""
    data = [
        {"index": at, "embedding": [float(len(text)), 1.0]} for at, text in enumerate(body["input"])
    ]
    return 200, json.dumps({"data": data[::-1]}).encode()


def test_texts_go_in_batches_and_come_back_in_order() -> None:
    with endpoint(good) as server:
        rows = server.embedder(api_key="k", batch_items_max=2).embed(["a", "bbb", "cc"])
    assert np.allclose(rows[:, 0] / rows[:, 1], [1, 3, 2])
    assert np.allclose(np.linalg.norm(rows, axis=1), 1)
    assert [one["input"] for one in server.asked] == [["a", "bbb"], ["cc"]]
    assert server.asked[0]["path"] == "/v1/embeddings"
    assert server.asked[0]["model"] == "m"
    assert server.headers[0]["authorization"] == "Bearer k"


def test_without_a_key_none_is_sent_and_a_long_text_is_cut() -> None:
    with endpoint(good) as server:
        server.embedder(text_chars_max=3).embed(["abcdef", ""])
    assert "authorization" not in server.headers[0]
    assert server.asked[0]["input"] == ["abc", " "]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, EmbeddingsAway),
        (503, EmbeddingsAway),
        (401, EmbeddingsFailed),
        (302, EmbeddingsFailed),
        (400, TextsRefused),
        (413, TextsRefused),
    ],
)
def test_what_a_status_means(status: int, error: type[Exception]) -> None:
    with endpoint(lambda _: (status, b"{}")) as server, pytest.raises(error) as raised:
        server.embedder().embed(["a"])
    assert raised.type is error
    assert len(server.asked) == 1  # no redirect was followed


@pytest.mark.parametrize(
    "data",
    [
        b"no json",
        b"[]",
        b"{}",
        b'{"data":[]}',
        b'{"data":[{"index":0,"embedding":[]}]}',
        b'{"data":[{"index":1,"embedding":[1.0]}]}',
        b'{"data":[{"index":0,"embedding":["x"]}]}',
        b'{"data":[{"index":0,"embedding":[1e999]}]}',
        b'{"data":[{"index":0,"embedding":[1.0]},{"index":0,"embedding":[1.0]}]}',
        b'{"data":[{"index":0,"embedding":' + json.dumps([0.5] * 5000).encode() + b"}]}",
    ],
)
def test_an_answer_in_another_shape_is_refused(data: bytes) -> None:
    with endpoint(lambda _: (200, data)) as server, pytest.raises(EmbeddingsFailed):
        server.embedder().embed(["a"])


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.recall.embeddings.ANSWER_BYTES_MAX", 1000)
    with (
        endpoint(lambda _: (200, b" " * 2000)) as server,
        pytest.raises(EmbeddingsFailed, match="too much"),
    ):
        server.embedder().embed(["a"])


def test_a_slow_endpoint_is_away_after_the_deadline() -> None:
    over = threading.Event()

    def never(_: dict[str, Any]) -> tuple[int, bytes]:
        over.wait(10)
        return 200, b"{}"

    with endpoint(never) as server:
        try:
            with pytest.raises(EmbeddingsAway):
                server.embedder(timeout_secs=5.0).embed(["a"], 0.05)
        finally:
            over.set()


def test_a_slow_trickle_is_cut_by_the_same_deadline() -> None:
    times = iter([0.0, 99.0])
    with endpoint(good) as server:
        target = EndpointTarget(url=server.url, model="m", timeout_secs=5.0)
        with pytest.raises(EmbeddingsAway, match="too long"):
            EndpointEmbedder(target, monotonic=lambda: next(times)).embed(["a"])


def test_nobody_at_the_address_is_away() -> None:
    with pytest.raises(EmbeddingsAway):
        EndpointEmbedder(EndpointTarget(url="http://127.0.0.1:1/v1", model="m")).embed(["a"])


def test_a_key_shows_in_no_repr() -> None:
    assert "sesame" not in repr(EndpointTarget(url="http://h", model="m", api_key="sesame"))


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """A tiny model: lake and pond are alike, bread is not."""
    words = {"[UNK]": 0, "lake": 1, "pond": 2, "bread": 3}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))  # noqa: S106 - a token of a model
    tokenizer.pre_tokenizer = Whitespace()
    vectors = np.array([[0, 0, 0.1], [1, 0.1, 0], [1, 0.2, 0], [0, 0, 1]], dtype=np.float32)
    folder = tmp_path / "tiny"
    StaticModel(vectors, tokenizer).save_pretrained(folder)
    return folder


def test_a_local_model_knows_what_words_mean(model_dir: Path) -> None:
    lake, pond, bread = LocalEmbedder(model_dir).embed(["lake", "pond", "bread"])
    assert lake @ pond > 0.9
    assert lake @ bread < 0.1


def test_a_folder_without_a_model_is_refused_and_nothing_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingsFailed, match=r"lacks config\.json"):
        LocalEmbedder(tmp_path)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(EmbeddingsFailed, match="cannot be read"):
        LocalEmbedder(tmp_path)


def test_the_settings_choose(model_dir: Path) -> None:
    assert embedder_of(Embeddings(), {}) is None
    assert isinstance(embedder_of(Embeddings(engine="fuzzy"), {}), HashedGrams)
    local = embedder_of(Embeddings(engine="local", model_dir=model_dir), {})
    assert isinstance(local, LocalEmbedder)
    section = Embeddings(engine="endpoint", url="https://h/v1", model="m", api_key_env="K")
    distant = embedder_of(section, {"K": "sesame"})
    assert isinstance(distant, EndpointEmbedder)
    assert distant._target.api_key == "sesame"


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"engine": "local"}, "model_dir"),
        ({"engine": "local", "model_dir": Path("/nowhere")}, "model_dir"),
        ({"engine": "endpoint", "url": "https://h"}, "url and model"),
        ({"engine": "endpoint", "url": "ftp://h", "model": "m"}, "no address"),
        ({"engine": "endpoint", "url": "https://u:p@h", "model": "m"}, "secret"),
        ({"engine": "endpoint", "url": "https://h", "model": "m", "api_key_env": "K"}, "K"),
        (
            {"engine": "endpoint", "url": "https://h", "model": "m", "api_key_file": Path("/no")},
            "cannot read",
        ),
    ],
)
def test_half_an_engine_refuses_the_start(fields: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        embedder_of(Embeddings(**fields), {})


def test_a_key_comes_from_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sesame\n", encoding="utf-8")
    file.chmod(0o600)
    section = Embeddings(engine="endpoint", url="https://h", model="m", api_key_file=file)
    embedder = embedder_of(section, {})
    assert isinstance(embedder, EndpointEmbedder)
    assert embedder._target.api_key == "sesame"
    file.chmod(0o644)
    if os.name == "posix":
        with pytest.raises(LooseModes):
            embedder_of(section, {})


def test_a_local_model_stands_beside_words(tmp_path: Path, model_dir: Path) -> None:
    opener = opener_of(Embeddings(engine="local", model_dir=model_dir), lambda *_, **__: None, {})
    engines = opener(tmp_path / "g")
    document = Document(
        key="d1", id="1", namespace="n", owner="a", title="", content="pond", created_ms=1
    )
    engines.take([Change("d1", document)])
    engines.flush()
    ((engine, weight),) = engines.others
    assert (engine.name, weight) == ("vector", 1.0)
    assert [hit.id for hit in engine.find("lake", Filters(reader="", now_ms=0), 5)] == ["1"]
    engines.close()


def test_an_engine_that_is_turned_on_later_wants_the_index_made_anew(tmp_path: Path) -> None:
    off = opener_of(Embeddings(), lambda *_, **__: None, {})
    on = opener_of(Embeddings(engine="fuzzy"), lambda *_, **__: None, {})
    engines = off(tmp_path)
    document = Document(
        key="d1", id="1", namespace="n", owner="a", title="", content="pond", created_ms=1
    )
    engines.take([Change("d1", document)])
    engines.flush()
    engines.close()
    with pytest.raises(ValueError, match="build it anew"):
        on(tmp_path)
    off(tmp_path).close()
    assert not (tmp_path / "vectors").exists()

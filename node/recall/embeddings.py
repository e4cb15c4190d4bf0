"""Texts as vectors: from an endpoint, or from a model in a local folder.

Law: nothing leaves the node unless an operator named an endpoint; then texts go to that
address and nowhere else: no redirect is followed, no proxy is taken from the environment.
Each request has one deadline over all of it, and a bounded answer. A local model is read from
its folder; nothing is ever fetched. Rows come back as unit vectors, in the order asked.
"""

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

if TYPE_CHECKING:
    import httpx
    import numpy as np

ANSWER_BYTES_MAX: Final = 64 * 2**20
DIMENSIONS_MAX: Final = 4096
_PATH: Final = "/embeddings"
_OK: Final = 200
_TEXTS_AT_FAULT: Final = frozenset((400, 413, 422))
_BUSY: Final = frozenset((408, 429, 500, 502, 503, 504))
_LOCAL_FILES: Final = ("config.json", "tokenizer.json", "model.safetensors")


class EmbeddingsAway(RuntimeError):  # noqa: N818 - says what happened, as in node/errors.py
    """Vectors cannot be had now; the same request may succeed later."""


class EmbeddingsFailed(RuntimeError):  # noqa: N818 - as above
    """Vectors cannot be had at all: refused, or in another shape than agreed."""


class TextsRefused(EmbeddingsFailed):
    """The endpoint does not take one of the texts; others it may take."""


class Embedder(Protocol):
    """Makes vectors of texts. May be called from any thread."""

    @property
    def name(self) -> str:
        """What the engine over it is called: `fuzzy` or `vector`."""
        ...

    @property
    def identity(self) -> str:
        """Names the model; vectors of different identities are never compared."""
        ...

    @property
    def distant(self) -> bool:
        """Whether it speaks to another machine, and so may be slow or away."""
        ...

    def embed(self, texts: Sequence[str], seconds: float | None = None) -> "np.ndarray":
        """One row of float32 a text.

        Args:
            texts: any number.
            seconds: the most that one request to another machine may take; None for what
                is set.

        Raises:
            EmbeddingsAway: not now.
            EmbeddingsFailed: not at all.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointTarget:
    """Where an endpoint answers.

    Attributes:
        url: base address, as `https://host/v1`.
        model: its name there.
        api_key: sent as a bearer token; empty when there is none.
        timeout_secs: longest time of one request.
        batch_items_max: most texts in one request.
        text_chars_max: of a longer text the beginning alone is sent.
    """

    url: str
    model: str
    api_key: str = field(default="", repr=False)
    timeout_secs: float = 10.0
    batch_items_max: int = 64
    text_chars_max: int = 8000


class EndpointEmbedder:
    """Vectors from an OpenAI-compatible endpoint (`POST /embeddings`).

    Args:
        target: where it answers.
        monotonic: seconds that only grow.
    """

    name: Final = "vector"
    distant: Final = True

    def __init__(
        self, target: EndpointTarget, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._target = target
        self._monotonic = monotonic
        # Reading the certificates of the system takes a while: once.
        secure = target.url.startswith("https:")
        self._trust = ssl.create_default_context() if secure else False

    @property
    def identity(self) -> str:
        """The address and the model."""
        return f"endpoint {self._target.url} {self._target.model}"

    def embed(self, texts: Sequence[str], seconds: float | None = None) -> "np.ndarray":
        """Rows for texts, as many requests as it takes."""
        import httpx  # noqa: PLC0415 - only a node with an endpoint pays for it
        import numpy as np  # noqa: PLC0415 - the same

        step = self._target.batch_items_max
        longest = self._target.timeout_secs
        seconds = longest if seconds is None else min(seconds, longest)
        parts = [texts[at : at + step] for at in range(0, len(texts), step)]
        try:
            with httpx.Client(
                verify=self._trust, timeout=seconds, trust_env=False, follow_redirects=False
            ) as client:
                rows = [self._batch(client, part, seconds) for part in parts]
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise EmbeddingsAway(f"the endpoint of embeddings: {type(error).__name__}") from error
        return np.concatenate(rows) if rows else np.zeros((0, 0), dtype=np.float32)

    def _batch(self, client: "httpx.Client", texts: Sequence[str], seconds: float) -> "np.ndarray":
        target = self._target
        until = self._monotonic() + seconds
        headers = {"accept": "application/json"}
        if target.api_key:
            headers["authorization"] = f"Bearer {target.api_key}"
        # An empty text is an error at most endpoints.
        sent = [text[: target.text_chars_max] or " " for text in texts]
        body = {"model": target.model, "input": sent, "encoding_format": "float"}
        address = target.url.rstrip("/") + _PATH
        with client.stream("POST", address, json=body, headers=headers) as response:
            _check(response.status_code)
            data = bytearray()
            for part in response.iter_bytes():
                data += part
                if len(data) > ANSWER_BYTES_MAX:
                    raise EmbeddingsFailed("the endpoint of embeddings says too much")
                if self._monotonic() > until:
                    raise EmbeddingsAway("the endpoint of embeddings took too long")
        return _rows(bytes(data), len(sent))


class LocalEmbedder:
    """Vectors from a model2vec folder: a table of word vectors, averaged.

    Tulkens and van Dongen, "Model2Vec", 2024.

    Args:
        folder: with config.json, tokenizer.json and model.safetensors.

    Raises:
        EmbeddingsFailed: it is no such folder, or the extra `vectors` is not installed.
    """

    name: Final = "vector"
    distant: Final = False

    def __init__(self, folder: Path) -> None:
        missing = [name for name in _LOCAL_FILES if not (folder / name).is_file()]
        if missing:
            raise EmbeddingsFailed(f"{folder} is no model2vec folder: it lacks {missing[0]}")
        try:
            from model2vec import StaticModel  # noqa: PLC0415 - an optional extra
        except ImportError as error:
            raise EmbeddingsFailed("install the extra: pip install mnemesh[vectors]") from error
        try:
            self._model: Any = StaticModel.from_pretrained(folder, force_download=False)
        except Exception as error:
            raise EmbeddingsFailed(f"the model in {folder} cannot be read: {error}") from error
        size = (folder / _LOCAL_FILES[-1]).stat().st_size
        self.identity = f"model2vec {folder.name} {size}"

    def embed(self, texts: Sequence[str], seconds: float | None = None) -> "np.ndarray":
        """Rows for texts."""
        del seconds
        return unit(self._model.encode(list(texts), use_multiprocessing=False))


def unit(rows: Any) -> "np.ndarray":
    """Rows of length 1; a row of zeros stays one."""
    import numpy as np  # noqa: PLC0415 - an optional extra

    array = np.asarray(rows, dtype=np.float32)
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    out: np.ndarray = array / np.where(lengths == 0, np.float32(1), lengths)
    return out


def _check(status: int) -> None:
    if status == _OK:
        return
    told = f"the endpoint of embeddings answered {status}"
    if status in _BUSY:
        raise EmbeddingsAway(told)
    if status in _TEXTS_AT_FAULT:
        raise TextsRefused(told)
    raise EmbeddingsFailed(f"{told}: check the section [embeddings] of the settings")


def _rows(data: bytes, count: int) -> "np.ndarray":
    """The vectors in an answer, put in the order of the request."""
    import numpy as np  # noqa: PLC0415 - an optional extra

    try:
        items = sorted(orjson.loads(data)["data"], key=lambda item: item["index"])
        indices = [item["index"] for item in items]
        rows = np.asarray([item["embedding"] for item in items], dtype=np.float32)
    except (ValueError, LookupError, TypeError) as error:
        raise EmbeddingsFailed("the endpoint of embeddings answers in another format") from error
    shaped = rows.ndim == 2 and 0 < rows.shape[1] <= DIMENSIONS_MAX  # noqa: PLR2004 - a matrix
    if indices != list(range(count)) or not shaped or not np.isfinite(rows).all():
        raise EmbeddingsFailed("the endpoint of embeddings gave other vectors than asked for")
    return unit(rows)

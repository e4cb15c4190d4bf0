"""What recall uses beside words, from the settings.

Law: a section that names half an engine refuses the start. Nothing is opened, imported or sent
unless the section asks for it. Fuzzy likeness counts a twentieth of words, as it knows no
meaning: it fills up where words find little; vectors of a model count as much as words.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from node.errors import ConfigError
from node.recall.embeddings import (
    Embedder,
    EmbeddingsFailed,
    EndpointEmbedder,
    EndpointTarget,
    LocalEmbedder,
)
from node.recall.engines import Engines, Opener, open_engines
from node.recall.fuzzy import HashedGrams
from node.recall.vectors import VectorEngine
from node.settings.material import check_secret_modes
from node.settings.sections import Embeddings

VECTORS_FOLDER: Final = "vectors"
WEIGHTS: Final = {"fuzzy": 0.05, "vector": 1.0}
_OFF: Final = "off"
_NEEDED: Final = ("usearch", "numpy")


def opener_of(
    section: Embeddings,
    log: Callable[..., None],
    environ: Mapping[str, str] = os.environ,
) -> Opener:
    """Opens the engines that a node uses.

    Raises:
        ConfigError: the section cannot be used.
        node.errors.LooseModes: the file of the key is readable by others.
    """
    embedder = embedder_of(section, environ)
    return lambda folder: _open(folder, embedder, log)


def embedder_of(section: Embeddings, environ: Mapping[str, str]) -> Embedder | None:
    """What makes vectors; None when words are all.

    Raises:
        ConfigError: the section cannot be used.
        node.errors.LooseModes: the file of the key is readable by others.
    """
    if section.engine == _OFF:
        return None
    if any(find_spec(name) is None for name in _NEEDED):
        raise ConfigError(
            f"[embeddings] engine = {section.engine} needs the extra `vectors`",
            fix="Install mnemesh[vectors], or leave engine out",
        )
    if section.engine == "fuzzy":
        return HashedGrams()
    if section.engine == "local":
        return _local(section)
    return EndpointEmbedder(_target(section, environ))


def _open(folder: Path, embedder: Embedder | None, log: Callable[..., None]) -> Engines:
    """The engines of a generation.

    Raises:
        ValueError, OSError: what lies there cannot be read, or lacks vectors it should have.
    """
    plain = open_engines(folder)
    vectors = folder / VECTORS_FOLDER
    if embedder is None:
        shutil.rmtree(vectors, ignore_errors=True)
        return plain
    lexical = plain.lexical
    try:
        engine = VectorEngine(vectors, embedder, lexical.snapshot, log)
    except BaseException:
        plain.close()
        raise
    if engine.fresh and lexical.documents:
        engine.close()
        plain.close()
        raise ValueError(f"{vectors} lacks the vectors of what is indexed: build it anew")
    return Engines(lexical, plain.neighbours, ((engine, WEIGHTS[engine.name]),))


def _local(section: Embeddings) -> LocalEmbedder:
    if section.model_dir is None:
        raise ConfigError("[embeddings] engine = local needs model_dir", fix="Name the folder")
    try:
        return LocalEmbedder(section.model_dir)
    except EmbeddingsFailed as error:
        raise ConfigError(f"[embeddings] model_dir: {error}") from error


def _target(section: Embeddings, environ: Mapping[str, str]) -> EndpointTarget:
    if section.url is None or section.model is None:
        raise ConfigError("[embeddings] engine = endpoint needs url and model", fix="Give both")
    parts = urlsplit(section.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("[embeddings] url is no address", fix="Write it as https://host/v1")
    if parts.username or parts.password:
        raise ConfigError(
            "[embeddings] url holds a secret", fix="Put the key into a file: api_key_file"
        )
    return EndpointTarget(
        url=section.url,
        model=section.model,
        api_key=_key(section, environ),
        timeout_secs=section.timeout_secs,
        batch_items_max=section.batch_items_max,
    )


def _key(section: Embeddings, environ: Mapping[str, str]) -> str:
    if section.api_key_env:
        key = environ.get(section.api_key_env, "").strip()
        if not key:
            raise ConfigError(
                f"[embeddings] api_key_env names {section.api_key_env}",
                why="that variable is not set or is empty",
            )
        return key
    if section.api_key_file is None:
        return ""
    try:
        key = section.api_key_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(
            f"cannot read {section.api_key_file}", why=error.strerror or ""
        ) from error
    check_secret_modes(section.api_key_file)
    if not key:
        raise ConfigError(f"{section.api_key_file} is empty")
    return key

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
from node.settings.endpoint import check_url, read_key
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
    check_url("embeddings", section.url)
    return EndpointTarget(
        url=section.url,
        model=section.model,
        api_key=read_key("embeddings", section, environ),
        timeout_secs=section.timeout_secs,
        batch_items_max=section.batch_items_max,
    )

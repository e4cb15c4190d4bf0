"""The language model of a node, from its settings.

Law: a section that names half a model refuses the start; a key is read once, from a file that
only its owner can read or from the environment.
"""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from node.errors import ConfigError
from node.llm.model import LanguageModel, ModelTarget
from node.settings.material import check_secret_modes
from node.settings.sections import Llm


def open_model(llm: Llm, environ: Mapping[str, str] = os.environ) -> LanguageModel | None:
    """The model that the section names; None when it names none.

    Raises:
        ConfigError: the section cannot be used.
        node.errors.LooseModes: the file of the key is readable by others.
    """
    if llm.url is None and llm.model is None:
        return None
    if llm.url is None or llm.model is None:
        raise ConfigError("[llm] needs both url and model", fix="Give both, or leave both out")
    parts = urlsplit(llm.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("[llm] url is no address", fix="Write it as https://host/v1")
    if parts.username or parts.password:
        raise ConfigError("[llm] url holds a secret", fix="Put the key into a file: api_key_file")
    target = ModelTarget(
        url=llm.url,
        model=llm.model,
        api_key=_key(llm, environ),
        timeout_secs=llm.timeout_secs,
        in_flight_max=llm.in_flight_max,
    )
    return LanguageModel(target)


def _key(llm: Llm, environ: Mapping[str, str]) -> str:
    if llm.api_key_env:
        key = environ.get(llm.api_key_env, "").strip()
        if not key:
            raise ConfigError(
                f"[llm] api_key_env names {llm.api_key_env}",
                why="that variable is not set or is empty",
            )
        return key
    if llm.api_key_file is None:
        return ""
    try:
        key = llm.api_key_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"cannot read {llm.api_key_file}", why=error.strerror or "") from error
    check_secret_modes(llm.api_key_file)
    if not key:
        raise ConfigError(f"{llm.api_key_file} is empty")
    return key

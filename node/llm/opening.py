"""The language model of a node, from its settings.

Law: a section that names half a model refuses the start; a key is read once, from a file that
only its owner can read or from the environment.
"""

import os
from collections.abc import Mapping

from node.errors import ConfigError
from node.llm.model import LanguageModel, ModelTarget
from node.settings.endpoint import check_url, read_key
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
    check_url("llm", llm.url)
    target = ModelTarget(
        url=llm.url,
        model=llm.model,
        api_key=read_key("llm", llm, environ),
        timeout_secs=llm.timeout_secs,
        in_flight_max=llm.in_flight_max,
    )
    return LanguageModel(target)

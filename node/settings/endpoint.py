"""Endpoints of others that a section of the settings names: an address, and the key sent there.

Law: no secret stands in an address, which is shown and logged. A key is read once, from a file
that only its owner can read or from the environment.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from node.errors import ConfigError
from node.settings.material import check_secret_modes
from node.settings.operations_sections import Telemetry
from node.settings.sections import Embeddings, Llm


def check_url(name: str, url: str) -> None:
    """Refuse what is no address, or holds a secret.

    Args:
        name: of the section, for words.
        url: base address, as `https://host/v1`.

    Raises:
        ConfigError: with what to write in its place.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"[{name}] url is no address", fix="Write it as https://host/v1")
    if parts.username or parts.password:
        raise ConfigError(
            f"[{name}] url holds a secret", fix="Put the key into a file: api_key_file"
        )


def check_collector(section: Telemetry) -> None:
    """Refuse a collector of traces that cannot be used.

    Raises:
        ConfigError: the address is none, or the extra that speaks to it is not installed.
    """
    if not section.otlp_endpoint:
        return
    check_url("telemetry", section.otlp_endpoint)
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise ConfigError(
            "[telemetry] otlp_endpoint needs the extra otel",
            why="OpenTelemetry is not installed beside this program",
            fix="Install mnemesh[otel], or take the setting out",
        )


def read_key(name: str, section: Embeddings | Llm | Telemetry, environ: Mapping[str, str]) -> str:
    """The key of an endpoint; empty when the section names none.

    Raises:
        ConfigError: what it names is empty, absent or cannot be read.
        LooseModes: others can read the file.
    """
    if section.api_key_env:
        key = environ.get(section.api_key_env, "").strip()
        if not key:
            raise ConfigError(
                f"[{name}] api_key_env names {section.api_key_env}",
                why="that variable is not set or is empty",
            )
        return key
    file = section.api_key_file
    if file is None:
        return ""
    try:
        key = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"cannot read {file}", why=error.strerror or "") from error
    check_secret_modes(file)
    if not key:
        raise ConfigError(f"{file} is empty")
    return key

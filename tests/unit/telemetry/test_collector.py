"""The setting that names a collector, and what it demands."""

from typing import Any

import pytest

from node.errors import ConfigError
from node.settings import endpoint
from node.settings.endpoint import check_collector
from node.settings.operations_sections import Telemetry


def test_without_a_collector_nothing_is_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "find_spec", lambda _name: None)
    check_collector(Telemetry())


def test_a_collector_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_the_interface(name: str) -> Any:
        return None if name == "opentelemetry.sdk" else object()

    monkeypatch.setattr(endpoint, "find_spec", only_the_interface)
    with pytest.raises(ConfigError, match="extra otel"):
        check_collector(Telemetry(otlp_endpoint="http://127.0.0.1:4318/v1/traces"))


@pytest.mark.parametrize("url", ["127.0.0.1:4318", "ftp://host/", "https://user:secret@host/v1"])
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_collector(Telemetry(otlp_endpoint=url))
    assert "secret@" not in str(caught.value)

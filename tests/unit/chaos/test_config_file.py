import tomllib

import pytest

from chaos.campaign.command import CONFIG
from chaos.config_file import config_text, with_settings
from chaos.faults.deeds import SETTINGS

CONFIG_OF_A_NODE = {"admin": {"name": "x"}, "storage": {"log_bytes_min": 1}}


@pytest.mark.parametrize("before", [CONFIG_OF_A_NODE, {"admin": {"name": "x"}}, {}])
def test_a_setting_joins_its_section(before: dict[str, dict[str, object]]) -> None:
    told = tomllib.loads(with_settings(config_text(before), {"storage": {"map_bytes": 7}}))
    assert told == {**before, "storage": {**before.get("storage", {}), "map_bytes": 7}}


def test_a_setting_takes_the_place_of_what_it_was_and_the_rest_stays() -> None:
    text = 'schema_version = 2\n[storage]\nlog_bytes_min = 1\nother = "o"\n[z]\non = true\n'
    told = tomllib.loads(with_settings(text, {"storage": {"log_bytes_min": 0}}))
    assert told == {
        "schema_version": 2,
        "storage": {"log_bytes_min": 0, "other": "o"},
        "z": {"on": True},
    }


def test_a_deed_can_set_up_the_nodes_of_a_campaign() -> None:
    told = tomllib.loads(with_settings(config_text(CONFIG), SETTINGS))
    assert told["storage"] == {**CONFIG["storage"], **SETTINGS["storage"]}
    assert told["subscriptions"] == SETTINGS["subscriptions"]

"""What to do about a finding, in words that can be followed to the letter.

Law: a command stands in backticks and can be typed as it is on this node's machine; words in
capitals in it are for the reader to fill in. Where a setting comes from (a flag, the environment,
the file) is where it has to be changed.
"""

from typing import Any, Final

from node.doctor.facts import Facts
from node.settings import TABLE

_ROWS: Final = {row.name: row for row in TABLE}
_FLAG: Final = "flag "
_ENVIRONMENT: Final = "environment "


def node_command(facts: Facts, words: str) -> str:
    """A `mnemesh` command about this node."""
    return f"`mnemesh {words}{facts.node.options}`"


def reload_now(facts: Facts) -> str:
    """How to have the settings read again; how to start when nothing runs."""
    return f"`kill -HUP {facts.node.pid}`" if facts.node.pid else "start the node"


def restart(facts: Facts) -> str:
    """How to start the process anew."""
    if not facts.node.running:
        return "start the node"
    return f"{node_command(facts, 'stop')} and start the node again"


def set_to(facts: Facts, name: str, value: object) -> str:
    """How a setting gets a value.

    Args:
        facts: of the node; they know where the setting comes from.
        name: dotted, as `permissions.mode`.
        value: as it shall be; None takes the setting out.
    """
    row = _ROWS.get(name)
    if row is None:
        return f"Set {name} to {_toml(value)} in {facts.config.path}, {restart(facts)}"
    origin = facts.settings.origins.get(name, "") if facts.settings is not None else ""
    if origin.startswith(_FLAG):
        return f"Take {row.about.flag} out of the command that starts the node, {restart(facts)}"
    if origin.startswith(_ENVIRONMENT):
        return f"Take {row.env} out of the environment of the node, {restart(facts)}"
    after = reload_now(facts) if row.about.reload else restart(facts)
    if value is None:
        return f"In {facts.config.path}, under [{row.section}], take out {row.key}; {after}"
    line = f"{row.key} = {_toml(value)}"
    return f"In {facts.config.path}, under [{row.section}], write {line}; {after}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)

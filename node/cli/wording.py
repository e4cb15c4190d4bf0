"""What several commands say alike.

Law: words only; nothing here asks or changes anything.
"""

import json
from typing import Any

from node.cli.client import Answer


def held_by(answer: Answer) -> str:
    """How durable a change is, in brackets; empty when the node does not say."""
    data = answer.data if isinstance(answer.data, dict) else {}
    durability = data.get("durability")
    if not isinstance(durability, dict):
        return ""
    peers = ", ".join(durability.get("peers", []))
    also = f", also on {peers}" if peers else ""
    return f" (held by {durability.get('acks', '?')}, needed {durability.get('needed', '?')}{also})"


def counted(count: int, one: str = "memory", many: str = "memories") -> str:
    """A number and its noun."""
    return f"{count} {one if count == 1 else many}"


def rules_text(rules: dict[str, Any]) -> str:
    """A governance value on one line."""
    return ", ".join(f"{key} {_value(rules[key])}" for key in rules)


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

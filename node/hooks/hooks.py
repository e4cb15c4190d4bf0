"""The hooks in force, as others see them.

Law: whoever has something to ask or to tell does it here, and is never delayed by telling.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from node.contracts import Caller
from node.events.moments import BEFORE_RECALL, BEFORE_SEARCH, RECALLED, SEARCHED
from node.hooks.asking import Asking
from node.hooks.telling import Moment, Telling
from node.settings.hook_tables import Hook


@dataclass(slots=True)
class Hooks:
    """The hooks in force, for whoever has something to ask or to tell.

    Attributes:
        asking: the question before a recall or a search; None when nobody wants to know.
        telling: what is told afterwards.
        declared: the hooks.
    """

    asking: Asking | None
    telling: Telling
    declared: tuple[Hook, ...]

    def tell(self, event: str, about: Mapping[str, Any], namespace: str = "") -> None:
        """Have the hooks told that something happened here."""
        if event in self.telling.wanted:
            self.telling.tell(Moment(event=event, about=about, namespace=namespace))

    async def reading(
        self, about: Mapping[str, Any], text: str, *, search: bool, caller: Caller
    ) -> None:
        """Ask before a recall or a search.

        Raises:
            node.errors.HookRefused: a hook said no.
            node.errors.HookFailed: one that must agree gave no answer.
        """
        if self.asking is None:
            return
        event = BEFORE_SEARCH if search else BEFORE_RECALL
        asked = self.asking.reads(event, about, {"text": text} if text else {}, caller=caller)
        if asked is not None:
            await asked

    def was_read(self, about: Mapping[str, Any], *, search: bool) -> None:
        """Tell of a recall or a search."""
        self.tell(SEARCHED if search else RECALLED, about, str(about.get("namespace") or ""))

    def shown(self) -> list[dict[str, Any]]:
        """What is declared, for `GET /capabilities`: no command, no address."""
        return [
            {"name": one.name, "events": sorted(one.events), "on_failure": one.table.on_failure}
            for one in self.declared
        ]

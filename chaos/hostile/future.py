"""F33: stamps from the future, at the author's own link and by way of another member.

Law: a stamp of tomorrow is refused where its author says it. What came by another way, or is
ahead by less than is tolerated, is taken, and does no harm: whoever has seen it and edits it
later wins, whatever the stamps say, and no honest clock follows.
"""

import datetime as dt
import random

from chaos.hostile import forged, wire
from chaos.hostile.member import Member
from chaos.hostile.minting import Bundle
from chaos.hostile.seen import caught_up, held_to, push, taken
from chaos.hostile.target import Expectation, Target, Victim, until
from chaos.hostile.wire import Kind

__all__ = ["attack"]

_TOLERATED_MS = 4_000  # of the five seconds of `clock_skew_ms_max`
_FAR_MS = (3_600_000, 86_400_000, 3650 * 86_400_000)
_FOLLOWED_S = 6.0


async def attack(
    target: Target, rng: random.Random, relay: Target | None = None
) -> list[Expectation]:
    """Refused at its own link; taken within the tolerance; and by another member, if there is one.

    Args:
        target: its member is the author.
        rng: draws how far ahead.
        relay: its member passes on what the author may not say.
    """
    member: Member = target.member
    first = target.victims[0]
    refused = await forged.of_tomorrow(target, first)
    async with member.linked(first) as link:
        await caught_up(member, link)  # it knows the governance that its operations name
        near, near_id = _ahead(target, _TOLERATED_MS)
        await push(link, near)
    found = [
        Expectation("a stamp of tomorrow is refused at its author's link", refused, {}),
        *await _later_edit(target, near, near_id, "within the tolerance"),
    ]
    if relay is not None:
        far, far_id = _ahead(target, ahead_ms := rng.choice(_FAR_MS))
        other: Member = relay.member
        async with other.linked(first) as link:
            await caught_up(other, link)
            # A Push is for its author; who passes on says Spread.
            await link.send(wire.message(Kind.SPREAD, far.data, other.node_id))
            await link.alive()
        found += await _later_edit(target, far, far_id, f"relayed, {ahead_ms} ms ahead")
    return [
        *found,
        await _not_followed(target),
        await target.all_equal(),
        target.nothing_logged(),
    ]


def _ahead(target: Target, by_ms: int) -> tuple[Bundle, str]:
    member: Member = target.member
    line = member.new_line()
    ident = f"ahead-{by_ms}-{target.marker}"
    op = line.create(ident, member.heads, stamp_ms=wire.now_ms() + by_ms)
    return line.seal(op, keep=False), ident


async def _later_edit(target: Target, bundle: Bundle, ident: str, how: str) -> list[Expectation]:
    """An honest edit of what was stamped ahead, by a node that has seen it."""
    came = await taken(target.victims[0], bundle)
    editor = target.victims[-1]
    came = came and await taken(editor, bundle)
    title = f"honest and later {ident}"
    answer = await editor.ask("PUT", f"/memories/{ident}", {"title": title}, X_Agent_Id="hostile")

    async def everywhere() -> bool:
        return all([await _title(victim, ident) == title for victim in target.victims])

    won = answer.status == 200 and await until(everywhere)
    shown = [await _title(victim, ident) for victim in target.victims]
    detail = {"how": how, "status": answer.status, "shown": shown}
    held = [await held_to(victim, bundle.actor) for victim in target.victims]
    return [
        Expectation("what is tolerated or relayed is taken", came, {"how": how, "held": held}),
        Expectation("a later honest edit wins", won, detail),
    ]


async def _title(victim: Victim, ident: str) -> str:
    body = (await victim.ask("GET", f"/memories/{ident}")).json() or {}
    memory = body.get("memory", {}) if isinstance(body, dict) else {}
    return str(memory.get("title", ""))


async def _not_followed(target: Target) -> Expectation:
    """A fresh record of every node is stamped about now."""
    leads: dict[str, float | None] = {}
    for victim in target.victims:
        body = {"title": f"stamped {target.marker}", "content": "text"}
        told = await victim.ask("POST", "/memories", {**body, "namespace": target.namespace})
        ident = (told.json() or {}).get("id", "-")
        held = (await victim.ask("GET", f"/memories/{ident}")).json() or {}
        memory = held.get("memory", held) if isinstance(held, dict) else {}
        text = memory.get("created_at")
        made = dt.datetime.fromisoformat(text) if text else None
        lead = (made - dt.datetime.now(dt.UTC)).total_seconds() if made else None
        leads[victim.name] = None if lead is None else round(lead, 3)
    ok = all(lead is not None and lead < _FOLLOWED_S for lead in leads.values())
    return Expectation("no honest clock follows", ok, {"lead_s": leads})

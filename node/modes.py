"""What becomes of verdicts on this node, said to the whole mesh.

Law: a node that does not enforce says so in the governance history before its mode has any
effect, so that the verdict on what it writes is the same on every node. Until the mesh has
taken that in, and for good when it refuses, the node goes on as the mesh knows it.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from crdt.governance_state import GovernanceState
from crdt.op import Kind
from node.contracts import Caller, Funnel, GovernanceDraft
from node.errors import Denied, NodeError
from node.logs import EventLog
from node.settings import Settings

_PAUSE_SECONDS: Final = 5.0


class ModeKeeper:
    """Announces the mode of this node whenever it is not what the mesh knows.

    Args:
        node_id: of this node.
        settings: those in force, asked anew each time.
        state: the governance state, asked anew each time; None while this node may not know all.
        funnel: the way to change governance.
        spawn: runs a coroutine as a task with an owner.
        monotonic: seconds that only grow.
        log: writes events.
    """

    def __init__(
        self,
        *,
        node_id: bytes,
        settings: Callable[[], Settings],
        state: Callable[[], GovernanceState | None],
        funnel: Funnel,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        monotonic: Callable[[], float],
        log: EventLog,
    ) -> None:
        self._node_id = node_id
        self._settings = settings
        self._state = state
        self._funnel = funnel
        self._spawn = spawn
        self._monotonic = monotonic
        self._log = log
        self._running = False
        self._not_before = 0.0
        self._refused: tuple[str, str, frozenset[str]] | None = None

    def watch(self) -> None:
        """Announce what is not announced yet; cheap, meant for every half second."""
        state = self._state()
        if state is None or self._running or self._monotonic() < self._not_before:
            return
        wanted = self._settings().permissions.mode
        if state.modes.get(self._node_id, "enforce") == wanted:
            self._refused = None
            return
        if self._question(state) != self._refused:
            self._running = True
            self._spawn(self._announce(wanted, self._question(state)))

    @property
    def refused(self) -> bool:
        """Whether the mesh refuses the mode that is set here."""
        state = self._state()
        return (
            self._refused is not None
            and state is not None
            and self._refused == self._question(state)
        )

    def _question(self, state: GovernanceState) -> tuple[str, str, frozenset[str]]:
        """What a refusal depends on: asked again only when some of it is another."""
        return self._settings().permissions.mode, self._agent(), state.admins

    def _agent(self) -> str:
        return next(iter(self._settings().admin.agent_ids), "")

    async def _announce(self, mode: str, question: tuple[str, str, frozenset[str]]) -> None:
        draft = GovernanceDraft(kind=Kind.MODE, set={"mode": mode})
        caller = Caller(agent=self._agent(), local=True)
        try:
            await self._funnel.govern([draft], caller=caller)
            self._log("mode_announced", mode=mode)
        except Denied as error:
            self._refused = question
            self._log("mode_refused", mode=mode, agent=caller.agent, reason=error.code)
        except NodeError:
            # Too few members for now, or not writable: what was minted spreads, else try again.
            self._not_before = self._monotonic() + _PAUSE_SECONDS
        finally:
            self._running = False

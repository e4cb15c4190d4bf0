"""The client that blocks.

Law: every decision about nodes, tries and tokens is made by `exchange`; every request is
described by `api`. Here is only what waits.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from node.client.call import Call, make_call, plain
from node.client.causal import Seen
from node.client.exchange import Outcome, Pause, Session, Step, exchange
from node.client.places import DEFAULT_URL, Options, running_node, settle
from node.client.sync_api import Api
from node.client.wires import Wires

T = TypeVar("T")


class Client(Api):
    """Speaks to a node, or to whichever of several answers; may be used by several threads.

    Args:
        url: address of a node, or of several members of one mesh.
        **options: what to present, whom to trust and how long to try; see `Options`.

    Raises:
        BadArgument: an argument cannot mean anything, or would give a secret away.
    """

    def __init__(self, url: str | Sequence[str] = DEFAULT_URL, **options: Unpack[Options]) -> None:
        settled = settle(url, options)
        self._settled = settled
        self._session = Session(settled=settled, seen=Seen(len(settled.places)))
        self._wires = Wires(settled)

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    @classmethod
    def local(cls, data_dir: str | Path | None = None, *, agent_id: str | None = None) -> Self:
        """A client of the node that runs on a data directory of this machine.

        Raises:
            node.errors.NodeError: none runs there, or its key can be read by others.
        """
        url, options = running_node(data_dir, agent_id)
        return cls(url, **options)

    @property
    def token(self) -> str:
        """What this session has seen; `adopt` hands it to another one."""
        return self._session.seen.token()

    def adopt(self, token: str) -> None:
        """See from now on at least what another session has seen."""
        self._session.seen.adopt(token)

    @property
    def url(self) -> str:
        """The node that the next call begins with."""
        return self._settled.places[self._session.preferred].url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._wires.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        body: object | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """One call to the HTTP API, with retries, failover and the causal token.

        Args:
            method: HTTP method.
            path: below `/api/v1`, as `/memories`; from the root when it begins with `/api/`.
            params: of the address; lists are joined with commas, None is left out.
            body: anything JSON can say.
            idempotency_key: of a write; drawn when it is left out, the same for every try.

        Returns:
            The answer; `{"text": ...}` for one that is no JSON.

        Raises:
            ApiError: the node said no.
            ClientError: there is no answer.
        """
        return self._run(
            make_call(
                method, path, plain, params=params, body=body, idempotency_key=idempotency_key
            )
        )

    def _run(self, call: Call[T]) -> T:
        steps = exchange(self._session, call)
        try:
            step = next(steps)
            while True:
                step = steps.send(self._do(step))
        except StopIteration as done:
            result: T = done.value
            return result

    def _do(self, step: Step) -> Outcome:
        if not isinstance(step, Pause):
            return self._wires.send(step)
        self._settled.ambience.pause(step.seconds)
        return None

"""A language model behind an OpenAI-compatible endpoint.

Law: one request, one deadline, a bounded answer. The key goes to the configured address and
nowhere else: no redirect is followed and no proxy is taken from the environment. At most
`in_flight_max` requests run at once; one more is refused, not queued.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from node.llm.problems import ModelAway, ModelFailed

ANSWER_BYTES_MAX: Final = 1024 * 1024
_PATH: Final = "/chat/completions"
_OK: Final = 200
_BUSY: Final = frozenset((408, 429, 500, 502, 503, 504))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTarget:
    """Where a model answers.

    Attributes:
        url: base address, as `https://host/v1`.
        model: its name there.
        api_key: sent as a bearer token; empty when there is none.
        timeout_secs: longest time of one request.
        in_flight_max: most requests at once.
    """

    url: str
    model: str
    api_key: str = field(default="", repr=False)
    timeout_secs: float = 30.0
    in_flight_max: int = 4


class LanguageModel:
    """Speaks to one model.

    Args:
        target: where it answers.
    """

    def __init__(self, target: ModelTarget) -> None:
        self._target = target
        self._in_flight = 0
        self._trust: ssl.SSLContext | bool | None = None

    @property
    def name(self) -> str:
        """The model, as the endpoint calls it."""
        return self._target.model

    async def say(self, task: str, text: str) -> str:
        """What the model answers.

        Args:
            task: what it shall do, as the system message.
            text: with what, as the message of the user.

        Raises:
            ModelAway: it cannot be reached now.
            ModelFailed: it refused, or its answer has another shape.
        """
        target = self._target
        if self._in_flight >= target.in_flight_max:
            raise ModelAway("the language model is asked by too many at once", fix="Try again")
        self._in_flight += 1
        try:
            async with asyncio.timeout(target.timeout_secs):
                return _words(await self._ask(task, text))
        except TimeoutError as error:
            raise ModelAway(
                f"the language model took longer than {target.timeout_secs:g} s",
                fix="Try again, or raise [llm] timeout_secs",
            ) from error
        finally:
            self._in_flight -= 1

    async def _ask(self, task: str, text: str) -> bytes:
        import httpx  # noqa: PLC0415 -- only a node with a model pays for it

        target = self._target
        if self._trust is None:
            secure = target.url.startswith("https:")
            # Reading the certificates of the system takes longer than the loop may stand still.
            self._trust = await asyncio.to_thread(ssl.create_default_context) if secure else False
        headers = {"accept": "application/json"}
        if target.api_key:
            headers["authorization"] = f"Bearer {target.api_key}"
        body = {
            "model": target.model,
            "temperature": 0,
            "stream": False,
            "messages": [
                {"role": "system", "content": task},
                {"role": "user", "content": text},
            ],
        }
        try:
            async with (
                httpx.AsyncClient(
                    verify=self._trust,
                    trust_env=False,
                    follow_redirects=False,
                    timeout=target.timeout_secs,
                ) as client,
                client.stream(
                    "POST", f"{target.url.rstrip('/')}{_PATH}", json=body, headers=headers
                ) as response,
            ):
                return await _read(response.status_code, response.aiter_bytes())
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        except httpx.HTTPError as error:
            raise ModelAway(
                "the language model cannot be reached",
                why=type(error).__name__,
                fix="Check the address in [llm] url",
            ) from error


async def _read(status: int, parts: Any) -> bytes:
    if status in _BUSY:
        raise ModelAway(f"the language model answered {status}", fix="Try again later")
    if status != _OK:
        raise ModelFailed(
            f"the language model answered {status}", fix="Check the section [llm] of the settings"
        )
    data = b""
    async for part in parts:
        data += part
        if len(data) > ANSWER_BYTES_MAX:
            raise ModelFailed(f"the language model said more than {ANSWER_BYTES_MAX} bytes")
    return data


def _words(data: bytes) -> str:
    """The text in an answer of the chat completions API."""
    try:
        answer = json.loads(data)
        words = answer["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError) as error:
        raise _unreadable() from error
    if not isinstance(answer, Mapping) or not isinstance(words, str):
        raise _unreadable()
    return words


def _unreadable() -> ModelFailed:
    return ModelFailed("the language model answered in another format")

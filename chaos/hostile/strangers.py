"""F37: strangers of every kind, at the upgrade, at the REST face and at the interface of agents.

Law: who is not let in is turned away before a byte of a body is read: the answer, where there is
one, comes while the body is still unsent. What a stranger sends is in no log.
"""

import random
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import trio

from chaos.certs import Pair, make_pair
from chaos.hostile import http, websocket
from chaos.hostile.link import PATH, open_link
from chaos.hostile.member import Member
from chaos.hostile.socket import TlsPapers
from chaos.hostile.target import Expectation, Target, Victim
from chaos.hostile.websocket import ClosedError

__all__ = ["attack"]

_REFUSALS: Final = frozenset({400, 401, 403, 404, 426})
_ANSWER_S: Final = 8.0
_UNSENT_BYTES: Final = 100_000


@dataclass(frozen=True, slots=True)
class _Stranger:
    """Who comes: with which certificate, over which TLS; None for plain TCP."""

    name: str
    papers: TlsPapers | None


def _strangers(target: Target, victim: Victim) -> list[_Stranger]:
    def shown(pair: Pair | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> TlsPapers:
        if pair is None:
            return TlsPapers(None, None, victim.fingerprint, version)
        return TlsPapers(pair.certificate, pair.key, victim.fingerprint, version)

    papers = target.papers
    namesake = make_pair(papers.folder / "namesakes", victim.name, common_name=victim.name)
    curve = make_pair(papers.folder / "namesakes", f"{victim.name}-p384", kind="p384")
    authority = make_pair(papers.folder / "namesakes", f"{victim.name}-ca", authority=True)
    return [
        _Stranger("no certificate", shown(None)),
        _Stranger("a certificate on no list", shown(papers.stranger)),
        _Stranger("expired", shown(papers.expired)),
        _Stranger("not valid yet", shown(papers.early)),
        _Stranger("the right name with another key", shown(namesake)),
        _Stranger("another curve", shown(curve)),
        _Stranger("an authority of its own", shown(authority)),
        _Stranger("TLS 1.2", shown(papers.member, ssl.TLSVersion.TLSv1_2)),
        _Stranger("plain HTTP", None),
    ]


def _requests(target: Target, victim: Victim) -> dict[str, bytes]:
    """What is asked for; bodies are announced and not sent, or no JSON."""
    mark = target.marker
    unsent = {"Content-Length": str(_UNSENT_BYTES), "X-Agent-Id": mark, "X-Peer-Id": mark}

    def asked(method: str, path: str, headers: Mapping[str, str]) -> bytes:
        return http.request_bytes(victim.host, method, f"{path}?note={mark}", headers=headers)

    return {
        "the upgrade": asked("GET", PATH, websocket.upgrade_headers()),
        "sync since": asked("GET", "/api/v1/sync/since", {"X-Peer-Id": mark}),
        "sync push": asked("POST", "/api/v1/sync/push", unsent),
        "a write": asked("POST", "/api/v1/memories", unsent),
        "the export": asked("GET", "/api/v1/export", {"X-Agent-Id": mark}),
        "a join": asked("POST", "/api/v1/mesh/join", unsent),
    }


async def attack(target: Target, _rng: random.Random) -> list[Expectation]:
    """Every stranger asks every node for everything; then one on the list that is no member."""
    before, broken = await target.settled(), target.links_broken()
    let_in: list[str] = []
    hung: list[str] = []
    how: dict[str, set[str]] = {}
    for victim in target.victims:
        for stranger in _strangers(target, victim):
            for what, data in _requests(target, victim).items():
                with trio.move_on_after(_ANSWER_S) as scope:
                    answer = await _outcome(victim, stranger, data)
                    how.setdefault(stranger.name, set()).add(str(answer or "cut"))
                    if answer and answer not in _REFUSALS:
                        let_in.append(f"{stranger.name}: {what}: {answer}")
                if scope.cancelled_caught:
                    hung.append(f"{stranger.name}: {what}")
    known = _Stranger("the member", target.shown(target.papers.member, target.victims[0]))
    probe = _requests(target, target.victims[0])["the upgrade"]
    control = await _outcome(target.victims[0], known, probe)
    outsiders = await _outsiders(target)
    after = await target.states()
    seen = {name: sorted(answers) for name, answers in how.items()}
    return [
        Expectation("the member itself is served", control == 101, {"status": control}),
        Expectation("no stranger is served", not let_in, {"served": let_in, "answers": seen}),
        Expectation("a stranger is answered before its body is read", not hung, {"hung": hung}),
        Expectation("on the list and no member: no link", not outsiders, {"linked": outsiders}),
        Expectation("strangers change nothing", after == before or not target.quiet, {}),
        target.links_unaffected(broken),
        await target.all_equal(),
        target.nothing_logged(),
    ]


async def _outcome(victim: Victim, stranger: _Stranger, data: bytes) -> int:
    """The status of the answer; 0 when the connection was refused or ended without one."""
    try:
        stream: trio.abc.Stream
        if stranger.papers is None:
            stream = await victim.peer_stream()
        else:
            stream = await victim.tls(stranger.papers)
    except (OSError, ssl.SSLError, trio.BrokenResourceError, trio.TooSlowError):
        return 0
    try:
        await stream.send_all(data)
        answer, _ = await http.read_answer(stream)
    except (OSError, ssl.SSLError, trio.BrokenResourceError, http.BadAnswerError):
        return 0
    else:
        return answer.status
    finally:
        await trio.aclose_forcefully(stream)


async def _outsiders(target: Target) -> list[str]:
    """A certificate on the list, with a key that is no member's, and with one that it stole not."""
    member: Member = target.member
    stranger = Member(target, type(member.signing).generate(), member.cluster, member.founders)
    greetings = {
        "no member": (stranger.greeting(), stranger),
        "a member's key without its secret": (stranger.greeting().but(key=member.key), stranger),
        "a founder's place": (stranger.greeting().but(claim=target.victims[0].url), stranger),
        "another cluster": (stranger.greeting().but(cluster="another"), stranger),
    }
    linked = []
    for victim in target.victims:
        for name, (greeting, signer) in greetings.items():
            link = await open_link(target, victim, target.papers.outsider)
            try:
                await link.greet(greeting.signed(signer.signing, link.own, link.peer))
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(link.hear)
                    if not await link.wait_ended(5.0) or link.heard:
                        linked.append(f"{victim.name}: {name}")
                    nursery.cancel_scope.cancel()
            except ClosedError:
                pass
            finally:
                await link.close()
    return linked

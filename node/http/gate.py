"""Who may come in: Host, Origin, API key with its role, certificate, agent's signature.

Law: all but the signature is checked before the body is read, and who comes in before it is
told whether a route exists. Keys are compared by hash, in constant time. A key in an address
is refused even when it is right, because addresses end up in logs. What a key admits to is
kept on the call and never asked again.
"""

import hmac
from typing import Final, NoReturn

from aiohttp import hdrs
from multidict import istr

from node.auth.door import check_agent_of_key, needs_check
from node.auth.keys import UNLIMITED, KeyGrant, KeyRing, key_digest
from node.auth.refusals import AuthRefused
from node.http.call import Call, from_loopback
from node.http.problems import Problem
from node.http.routes import Needs, Route, Touches

_KEY: Final = istr("x-api-key")
_KEY_CHARS_MAX: Final = 256
_DIGESTS_MAX: Final = 1024
_BEARER: Final = "bearer "
_LOG_EVERY_SECONDS: Final = 1.0
_SYNC: Final = "/api/v1/sync/"


class Gate:
    """Lets a call pass or raises a Problem; counts what it refuses."""

    def __init__(self) -> None:
        self._logged_at = float("-inf")
        self._digests: dict[str, bytes] = {}

    def check_address(self, call: Call) -> None:
        """Refuse requests that were meant for another name, and keys in addresses.

        Raises:
            Problem: 400 or 403.
        """
        headers = call.headers
        host = headers.get(hdrs.HOST, "")
        rule = call.door.hosts()
        if not rule.allows(host):
            self._refuse(
                call,
                "host",
                403,
                "host_not_allowed",
                "the Host header names no address of this node; add the name to [listen] hostnames",
            )
        origin = headers.get(hdrs.ORIGIN)
        if origin is not None and not rule.same_origin(origin, host):
            self._refuse(
                call, "origin", 403, "origin_not_allowed", "pages of other hosts may not call this"
            )
        if "api_key" in call.query_text and "api_key" in call.query:
            self._refuse(
                call,
                "key_in_url",
                400,
                "api_key_in_url",
                "a key does not belong into an address; send it in the header x-api-key",
            )

    def check_caller(self, call: Call, route: Route | None) -> None:
        """Refuse callers who may not use a route; without a route, who may use none.

        Raises:
            Problem: 401 or 403.
            AuthRefused: 403, the key speaks for another agent.
        """
        needs = Needs.AGENT if route is None else route.needs
        if needs is Needs.OPEN:
            return
        if needs is Needs.PEER:
            self._check_peer(call)
            return
        keys, ring = call.door.api_keys(), call.door.key_ring()
        if keys or ring.demanded:
            self._check_key(call, keys, ring)
            if call.grant is not UNLIMITED:
                check_agent_of_key(call)
                self._check_role(call, route)
        elif needs is Needs.AGENT:
            if call.door.tls:  # without TLS the listener is on loopback
                self._check_peer(call)
        elif not from_loopback(call.request.transport):
            self._refuse(
                call,
                "not_loopback",
                403,
                "operators_only",
                "without an API key this is for callers on the machine itself",
            )

    def must_verify(self, call: Call, route: Route) -> bool:
        """Whether a signature came, or has to: then it is verified once the body is there."""
        if route.needs is Needs.PEER or route.needs is Needs.OPEN:
            return False
        return needs_check(call, writes=route.touches is Touches.WRITES)

    def _check_key(self, call: Call, keys: tuple[bytes, ...], ring: KeyRing) -> None:
        given = call.headers.get(_KEY)
        if given is None:
            bearer = call.headers.get(hdrs.AUTHORIZATION, "")
            given = bearer[len(_BEARER) :] if bearer[: len(_BEARER)].lower() == _BEARER else ""
        grant = self._grant_of(call, given, keys, ring) if given else None
        if given and grant is None and call.door.newest_key_ring is not None:
            # A key that was given out a moment ago is as good as an old one.
            grant = self._grant_of(call, given, keys, call.door.newest_key_ring())
        if grant is None:
            self._refuse(
                call,
                "key" if given else "no_key",
                401,
                "missing or invalid API key",
                "send the key in the header x-api-key, or as Authorization: Bearer",
            )
        call.grant = grant

    def _grant_of(
        self, call: Call, given: str, keys: tuple[bytes, ...], ring: KeyRing
    ) -> KeyGrant | None:
        digest = self._digests.get(given)
        if digest is None:
            digest = key_digest(given)
            if len(self._digests) < _DIGESTS_MAX and len(given) <= _KEY_CHARS_MAX:
                self._digests[given] = digest
        # No early end: the time must not tell which of several keys came close.
        matches = [hmac.compare_digest(digest, key) for key in keys]
        if any(matches):
            return UNLIMITED
        return ring.find(digest, call.services.now_ms()) if ring.demanded else None

    def _check_role(self, call: Call, route: Route | None) -> None:
        if route is not None and not call.grant.admits(route.role):
            self._refuse(
                call,
                "role",
                403,
                "role_forbids",
                f"the API key has the role {call.grant.role}; this needs {route.role}",
            )

    def _check_peer(self, call: Call) -> None:
        transport = call.request.transport
        shown = None if transport is None else call.door.peer_fingerprint(transport)
        if shown is not None and call.door.peer_allowed(shown):
            call.peer = shown
            return
        sync = call.path.startswith(_SYNC)
        self._refuse(
            call,
            "certificate" if shown else "no_certificate",
            401,
            "peer_not_enrolled" if sync else "certificate_required",
            "this needs a client certificate that is on the allowlist of this node",
        )

    def note(self, call: Call, refusal: AuthRefused) -> None:
        """Count and log a refusal that was raised elsewhere."""
        self._note(call, refusal.code)

    def _refuse(self, call: Call, reason: str, status: int, error: str, detail: str) -> NoReturn:
        self._note(call, reason)
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None  # noqa: PLR2004 - RFC 9110
        raise Problem(status, error, detail, headers=headers)

    def _note(self, call: Call, reason: str) -> None:
        services = call.services
        services.metrics.counter("auth_rejected_total", reason).inc()
        services.audit("gate_denied", code=reason)
        now = services.monotonic()
        if now - self._logged_at >= _LOG_EVERY_SECONDS:
            self._logged_at = now
            services.log("auth_rejected", reason=reason)

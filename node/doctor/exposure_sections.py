"""Sections about who comes in and what goes out: listeners, switches, foreign peers, hooks.

Law: pure; every function takes the facts and returns what follows from them.
"""

from typing import Final

from node.doctor import finding as say
from node.doctor.facts import Facts, ListenerFact
from node.doctor.finding import CRITICAL, INFO, WARNING, Finding, Kind, kind
from node.doctor.steps import reload_now, restart, set_to
from node.doctor.switches import weakened
from node.settings.hook_tables import CLOSED, Hook
from node.settings.hook_tables import OPEN as OPEN_ON_FAILURE

_FAILURES_TOLD: Final = 3
_BEFORE: Final = "before_"

SWITCH_WEAKENED: Final = kind(
    "switch-weakened",
    CRITICAL,
    means="A setting that protects is off, as one may do while a rollout is staged: "
    "`federation.require_signature`, `federation.require_nonce`, `permissions.mode`, "
    "`governance.fail_open_on_error`.",
    do="Set it back and reload.",
)
OPEN: Final = kind(
    "listener-open",
    CRITICAL,
    means="Anybody on the network can read and write the memory. The node refuses to start like "
    "this; a key that went away later leads here.",
    do="Give the node a key and a certificate with `mnemesh init`.",
)
NO_KEY: Final = kind(
    "listener-without-key",
    INFO,
    means="A plain listener on loopback demands nothing: every user and every program of this "
    "machine has all rights here.",
    do="`mnemesh init` makes a key. For a node that was never initialised draw one, and name its "
    "file in [admin] api_key_file.",
)
CERTIFICATE_ONLY: Final = kind(
    "certificate-opens-all",
    WARNING,
    INFO,
    means="A listener with TLS demands no API key: every certificate on the allowlist, so every "
    "member, has the rights of this node's operator. On the network that is a warning, on loopback "
    "worth knowing.",
    do="Give the node an API key; members still link by their certificates.",
)
TEST_SWITCH: Final = kind(
    "webhook-test-switch",
    WARNING,
    means="A switch for tests of webhooks is on: `allow_loopback_webhooks` lets who may subscribe "
    "have requests sent to services of this machine, `allow_dns_failure` drops events whose "
    "receiver cannot be resolved.",
    do="Set it back and reload.",
)
FOREIGN_AWAY: Final = kind(
    "foreign-away",
    WARNING,
    means="A peer of another mesh was not reached several times in a row; nothing is exchanged "
    "with it.",
    do="Look at the address, the certificates on both sides, and that node.",
)
FOREIGN_MEMBER: Final = kind(
    "foreign-is-member",
    WARNING,
    means="An address in [federation] foreign_peers belongs to a member of this very mesh. The "
    "exchange was stopped for good.",
    do="Take the address out.",
)
HOOK_OPEN: Final = kind(
    "hook-fails-open",
    WARNING,
    means="A hook that may refuse lets everything pass when it fails or is too slow.",
    do="Set it to fail closed, unless it only watches.",
)

EXPOSURE_KINDS: Final[tuple[Kind, ...]] = (
    SWITCH_WEAKENED,
    OPEN,
    NO_KEY,
    CERTIFICATE_ONLY,
    TEST_SWITCH,
)
FOREIGN_KINDS: Final[tuple[Kind, ...]] = (FOREIGN_AWAY, FOREIGN_MEMBER)
HOOK_KINDS: Final[tuple[Kind, ...]] = (HOOK_OPEN,)

_TEST_SWITCHES: Final = {
    "allow_loopback_webhooks": "webhooks may lead to services of this machine",
    "allow_dns_failure": "events whose receiver cannot be resolved are dropped",
}


def exposure(facts: Facts) -> list[Finding]:
    """Who can reach the node, and what they have to show."""
    if facts.settings is None:
        return []
    out = switched(facts, "exposure")
    for listener in facts.listeners or ():
        out += _listener(facts, listener)
    for key, follows in _TEST_SWITCHES.items():
        if getattr(facts.settings.subscriptions, key):
            out.append(
                TEST_SWITCH(
                    f"subscriptions.{key} is on: {follows}",
                    fix=set_to(facts, f"subscriptions.{key}", value=False),
                )
            )
    if out or facts.listeners is None:
        return out
    return [say.ok("every listener demands a key or a certificate")]


def switched(facts: Facts, section: str, *, but: str = "") -> list[Finding]:
    """The weakened switches that belong to a section, but for one that has no effect."""
    if facts.settings is None:
        return []
    return [
        SWITCH_WEAKENED(
            f"{switch.name} is {shown(switch.value(facts.settings))}: {switch.means}",
            fix=set_to(facts, switch.name, switch.strong),
        )
        for switch in weakened(facts.settings, section)
        if switch.name != but
    ]


def shown(value: object) -> str:
    """A value as the configuration file spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listener(facts: Facts, listener: ListenerFact) -> list[Finding]:
    if listener.key:
        return []
    at = listener.address
    fix = _make_key(facts)
    if listener.loopback and not listener.tls:
        return [NO_KEY(f"{at} demands no API key: every user of this machine may come in", fix=fix)]
    if listener.tls:
        text = f"{at} demands no API key: an allowed certificate opens every route"
        severity = INFO if listener.loopback else WARNING
        return [CERTIFICATE_ONLY(text, fix=fix, severity=severity)]
    return [OPEN(f"{at} is open to the network without TLS and key", fix=fix)]


def _make_key(facts: Facts) -> str:
    """How the operator gets a key; one given out to an agent would lock the operator out."""
    if facts.settings is None:
        return "Make a key: mnemesh init"
    file = str(facts.settings.paths.api_key)
    draw = f"`umask 077; head -c 24 /dev/urandom | base64 > {file}`"
    return f"Make a key: {draw}. {set_to(facts, 'admin.api_key_file', file)}"


def foreign(facts: Facts) -> list[Finding]:
    """Whether peers of other meshes are reached."""
    if not facts.foreign:
        return []
    out = []
    for peer in facts.foreign:
        if peer.state == "stopped":
            text = f"the foreign peer {peer.url} is a member of this mesh"
            fix = "Take it out of [federation] foreign_peers"
            out.append(FOREIGN_MEMBER(text, fix=f"{fix}, {restart(facts)}"))
        elif peer.failures >= _FAILURES_TOLD:
            text = f"the foreign peer {peer.url} was not reached {peer.failures} times in a row"
            why = f": {peer.error}" if peer.error else ""
            out.append(FOREIGN_AWAY(f"{text}{why}", fix="Look at its address and its certificates"))
    return out or [say.ok(f"{len(facts.foreign)} foreign peers are exchanged with")]


def hooks(facts: Facts) -> list[Finding]:
    """Whether hooks that may refuse refuse when they fail."""
    declared = facts.settings.hooks if facts.settings is not None else ()
    path, after = facts.config.path, reload_now(facts)
    return [
        HOOK_OPEN(
            f"the hook {hook.name} may refuse, and lets pass when it fails",
            fix=f'In {path}, under [hooks.{hook.name}], write on_failure = "{CLOSED}"; {after}',
        )
        for hook in declared
        if hook.table.on_failure == OPEN_ON_FAILURE and _may_refuse(hook)
    ]


def _may_refuse(hook: Hook) -> bool:
    return any(event.startswith(_BEFORE) for event in (*hook.table.on, *hook.events))

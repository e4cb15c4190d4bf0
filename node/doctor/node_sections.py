"""Sections about this machine: the process, its configuration, its keys, its store, its doors.

Law: pure; every function takes the facts and returns what follows from them.
"""

import stat
from typing import Final

from node.doctor import finding as say
from node.doctor.facts import Facts, IdentityFacts, KeyFact, ListenerFact
from node.doctor.finding import Finding
from node.doctor.switches import shown, weakened
from node.errors import Exit
from node.failpoints import VARIABLE

_MS_PER_DAY: Final = 86_400_000
_EXPIRY_WARNING_DAYS: Final = 30
_MAP_WARNING_RATIO: Final = 0.8
_MAP_CRITICAL_RATIO: Final = 0.95
_DISK_WARNING_RATIO: Final = 0.1
_DISK_CRITICAL_BYTES: Final = 256 << 20
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_BAD_EXITS: Final = {
    int(Exit.INTEGRITY): "the process before this one ended because stored bytes were damaged",
    int(Exit.DISK): "the process before this one ended because the disk reported an error",
}


def node(facts: Facts) -> list[Finding]:
    """Whether there is a process, and whether it serves."""
    about = facts.node
    out = []
    if not about.running:
        out.append(
            say.critical(
                f"no node runs here: {about.trouble}",
                fix=f"Start it: mnemesh serve{about.options}",
                link=say.TROUBLE,
            )
        )
    elif about.trouble:
        out.append(
            say.warning(
                f"the node does not serve reads and writes: {about.trouble}",
                fix="See its log; a node that joins needs a linked member",
                link=say.TROUBLE,
            )
        )
    if about.faults:
        out.append(
            say.critical(
                f"this node fails by order, from {about.faults}: it is a test, not a service",
                fix=f"Unset {VARIABLE} and start the node again",
                link=say.TROUBLE,
            )
        )
    out += [
        say.warning(f"in the faults folder: {why}", fix="Correct it", link=say.TROUBLE)
        for why in about.wrong_orders
    ]
    if about.last_exit in _BAD_EXITS:
        out.append(say.warning(_BAD_EXITS[about.last_exit], fix="Check the disk", link=say.TROUBLE))
    return out or [say.ok("the node runs and serves")]


def config(facts: Facts) -> list[Finding]:
    """Whether the configuration says what its author means, and can be used for a start."""
    about = facts.config
    out = [
        say.warning(words, fix="Correct the name, or unset it", link=say.SETTINGS)
        for words in about.warnings
    ]
    if about.trouble:
        out.append(
            say.critical(
                f"the configuration cannot be used as it stands: {about.trouble}",
                fix=f"Correct {about.path}: the next start would fail",
                link=say.SETTINGS,
            )
        )
    if about.waiting:
        out.append(
            say.info(
                f"changed and not in force yet: {', '.join(about.waiting)}",
                fix="Restart the node, or reload it with SIGHUP where the setting allows",
                link=say.SETTINGS,
            )
        )
    return out or [say.ok("the configuration is in force as it stands")]


def identity(facts: Facts) -> list[Finding]:
    """Whether the keys are there and private, and the certificate will last."""
    about = facts.identity
    if about is None:
        return []
    out = [found for key in about.keys for found in _key(key)]
    out += _certificate(facts.now_ms, about)
    return out or [say.ok("keys are private and the certificate is valid")]


def _key(key: KeyFact) -> list[Finding]:
    if key.mode is None:
        return [
            say.critical(
                f"{key.path} is gone; the next start would fail or take another identity",
                fix="Bring it back from where you keep a copy",
                link=say.FILES,
            )
        ]
    if not key.mode & _OTHERS:
        return []
    wanted = "700" if key.folder else "600"
    text = f"{key.path} has mode {key.mode:04o}, so other users can reach it"
    tell = say.warning if key.folder else say.critical
    return [tell(text, fix=f"Run: chmod {wanted} {key.path}", link=say.FILES)]


def _certificate(now_ms: int, about: IdentityFacts) -> list[Finding]:
    if about.certificate_expires_ms is None:
        return []
    days = (about.certificate_expires_ms - now_ms) / _MS_PER_DAY
    fix = "Make a new certificate, and let every member allow its fingerprint first"
    if days <= 0:
        return [say.critical("the certificate has expired", fix=fix, link=say.FILES)]
    if days < _EXPIRY_WARNING_DAYS:
        return [say.warning(f"the certificate expires in {days:.0f} days", fix=fix, link=say.FILES)]
    return []


def store(facts: Facts) -> list[Finding]:
    """Whether there is room."""
    about = facts.store
    if about is None:
        return []
    if about.failed:
        text = "the disk reported an error; nothing is acknowledged any more"
        return [say.critical(text, fix="Replace the disk", link=say.TROUBLE)]
    out = []
    if about.full or about.disk_free_bytes < _DISK_CRITICAL_BYTES:
        out.append(_disk(about.disk_free_bytes, critical=True))
    elif about.disk_free_bytes < about.disk_bytes * _DISK_WARNING_RATIO:
        out.append(_disk(about.disk_free_bytes, critical=False))
    if about.map_used_ratio >= _MAP_WARNING_RATIO:
        tell = say.critical if about.map_used_ratio >= _MAP_CRITICAL_RATIO else say.warning
        out.append(
            tell(
                f"{about.map_used_ratio:.0%} of the address range of the store are in use",
                fix="Raise [storage] map_bytes and restart",
                link=say.SETTINGS,
            )
        )
    return out or [say.ok(f"{_size(about.size_bytes)} in use, {_size(about.disk_free_bytes)} free")]


def _disk(free: int, *, critical: bool) -> Finding:
    tell = say.critical if critical else say.warning
    fix = "Make room on the disk of the store; a full disk refuses writes"
    return tell(f"{_size(free)} are free on the disk of the store", fix=fix, link=say.TROUBLE)


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:  # noqa: PLR2004 - the step between these units
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.0f} TiB"


def exposure(facts: Facts) -> list[Finding]:
    """Who can reach the node, and what they have to show."""
    if facts.listeners is None or facts.settings is None:
        return []
    out = switched(facts, "exposure")
    out += [found for listener in facts.listeners for found in _listener(listener)]
    return out or [say.ok("every listener demands a key or a certificate")]


def switched(facts: Facts, section: str, *, but: str = "") -> list[Finding]:
    """The weakened switches that belong to a section, but for one that has no effect."""
    if facts.settings is None:
        return []
    return [
        say.critical(
            f"{switch.name} is {shown(switch.value(facts.settings))}: {switch.means}",
            fix=f"Set it back to {shown(switch.strong)} and reload the node with SIGHUP",
            link=say.SETTINGS,
        )
        for switch in weakened(facts.settings, section)
        if switch.name != but
    ]


def _listener(listener: ListenerFact) -> list[Finding]:
    if listener.key:
        return []
    fix = "mnemesh init makes a key; [admin] api_key_file names another one"
    if listener.loopback and not listener.tls:
        text = f"{listener.address} demands no API key: every user of this machine may come in"
        return [say.info(text, fix=fix, link=say.ADDRESSES)]
    if listener.tls:
        text = f"{listener.address} demands no API key: an allowed certificate opens every route"
        return [say.info(text, fix=fix, link=say.ADDRESSES)]
    text = f"{listener.address} is open to the network without TLS and key"
    return [say.critical(text, fix=fix, link=say.ADDRESSES)]

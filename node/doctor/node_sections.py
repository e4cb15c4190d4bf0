"""Sections about this node: the process, its configuration, its keys.

Law: pure; every function takes the facts and returns what follows from them.
"""

import stat
from typing import Final

from node.doctor import finding as say
from node.doctor.facts import Facts, IdentityFacts, KeyFact
from node.doctor.finding import CRITICAL, INFO, WARNING, Finding, Kind, kind
from node.doctor.steps import node_command, reload_now, restart, set_to
from node.errors import Exit
from node.failpoints import VARIABLE

_MS_PER_DAY: Final = 86_400_000
_CRASH_TOLD_MS: Final = _MS_PER_DAY
_EXPIRY_WARNING_DAYS: Final = 30
_EXPIRY_CRITICAL_DAYS: Final = 7
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

NOT_RUNNING: Final = kind(
    "not-running",
    CRITICAL,
    means="No node runs on this data folder. What follows is what the files alone show.",
    do="Start it. When it ended by itself, the finding says how; look at the log first.",
)
NOT_SERVING: Final = kind(
    "not-serving",
    WARNING,
    means="The process runs and answers neither reads nor writes yet: it still joins, or it is "
    "about to stop.",
    do="Wait; a node that joins needs a linked member, which the section `peers` shows.",
)
RECOVERING: Final = kind(
    "recovering",
    WARNING,
    means="The node was restored from a backup and has not heard yet from its peers what it "
    "lacks. It serves reads; writes are answered with 503 `recovering`.",
    do="Bring a peer into reach. When none is left, restore with `--as-founder`.",
)
FAULTS_ARMED: Final = kind(
    "faults-armed",
    CRITICAL,
    means="The node was started with MNEMESH_FAULTS: it fails by order. That is for tests.",
    do="Unset the variable where the node is started, and start it again.",
)
FAULT_ORDER_WRONG: Final = kind(
    "fault-order-wrong",
    WARNING,
    means="A file in the faults folder names a place that does not exist, or says what cannot be "
    "carried out.",
    do="Correct or remove it.",
)
ENDED_DAMAGED: Final = kind(
    "ended-damaged",
    WARNING,
    means="The process before this one ended with exit code 5: stored bytes were not what had been "
    "written.",
    do="Read the store through and look at the disk. The finding goes with the next orderly stop.",
)
ENDED_DISK: Final = kind(
    "ended-disk-error",
    WARNING,
    means="The process before this one ended with exit code 10: the disk reported an error.",
    do="Look at the kernel's log and at the disk, and replace it. The finding goes with the next "
    "orderly stop.",
)
ENDED_CRASH: Final = kind(
    "ended-crash",
    WARNING,
    means="The process before this one was killed, ran out of memory, lost power, or ended with a "
    "defect. What was confirmed is still there. Told for a day.",
    do="Look at the log, and at the kernel's for an out-of-memory kill. An orderly restart clears "
    "the finding.",
)
UNKNOWN_VARIABLE: Final = kind(
    "setting-warning",
    WARNING,
    means="Something that looks like a setting is none, such as a misspelt environment variable. "
    "It has no effect.",
    do="Correct the name, or unset it, and start the node again.",
)
CONFIG_UNUSABLE: Final = kind(
    "config-unusable",
    CRITICAL,
    means="The configuration file, as it stands now, would be refused. The node goes on with what "
    "it read before; the next start would fail.",
    do="Correct the line that the finding names.",
)
CONFIG_RELOAD: Final = kind(
    "config-not-reloaded",
    INFO,
    means="Settings differ between file and node, and a reload takes them.",
    do="Send SIGHUP.",
)
CONFIG_RESTART: Final = kind(
    "config-not-in-force",
    INFO,
    means="Settings differ between file and node, and only a restart takes them.",
    do="Restart the node when it suits.",
)
CONFIG_WRITABLE: Final = kind(
    "config-writable",
    WARNING,
    means="Other users of this machine can write the configuration, and so weaken the node.",
    do="Take the right to write from them.",
)
LOG_DEBUG: Final = kind(
    "log-debug",
    INFO,
    means="The log tells everything, which fills disks. It holds no content and no secrets.",
    do="Set the level back when you have seen what you wanted to see.",
)
KEY_GONE: Final = kind(
    "key-gone",
    CRITICAL,
    means="A key that the node uses is not there any more. The running node has it in memory; the "
    "next start would fail, or take another identity.",
    do="Bring it back from where you keep a copy, before anything else.",
)
KEY_READABLE: Final = kind(
    "key-readable",
    CRITICAL,
    means="Other users of this machine can read a secret. Who has it can be this node, or come in "
    "as its operator. The next start is refused with exit code 4.",
    do="Set the mode. When others may have read it, make a new one.",
)
KEYS_OPEN: Final = kind(
    "key-folder-open",
    WARNING,
    means="Other users of this machine can look into the folder of the keys.",
    do="Set the mode.",
)
CERTIFICATE_EXPIRED: Final = kind(
    "certificate-expired",
    CRITICAL,
    means="The certificate of this node is not valid any more: nobody links with it.",
    do="Renew it: `mnemesh node certificate renew` says which members do not let the next one in. "
    "One that you brought is yours to renew: allow it on every member, put it in place, reload.",
)
CERTIFICATE_EXPIRES: Final = kind(
    "certificate-expires",
    WARNING,
    CRITICAL,
    means="The certificate of this node ends in less than 30 days (warning), or 7 (critical).",
    do="Renew it in time, as above; nothing pauses.",
)
CERTIFICATE_MISMATCH: Final = kind(
    "certificate-key-mismatch",
    CRITICAL,
    means="Certificate and key, as the files stand now, cannot be used together. The running node "
    "goes on with what it read before; the next start would fail.",
    do="Put the pair that belongs together in place, and reload.",
)
CERTIFICATE_WAITS: Final = kind(
    "certificate-not-in-force",
    INFO,
    means="The file holds another certificate than the node shows.",
    do="Reload when every member allows the new one.",
)

NODE_KINDS: Final[tuple[Kind, ...]] = (
    NOT_RUNNING,
    NOT_SERVING,
    RECOVERING,
    FAULTS_ARMED,
    FAULT_ORDER_WRONG,
    ENDED_DAMAGED,
    ENDED_DISK,
    ENDED_CRASH,
)
CONFIG_KINDS: Final[tuple[Kind, ...]] = (
    CONFIG_UNUSABLE,
    UNKNOWN_VARIABLE,
    CONFIG_RELOAD,
    CONFIG_RESTART,
    CONFIG_WRITABLE,
    LOG_DEBUG,
)
IDENTITY_KINDS: Final[tuple[Kind, ...]] = (
    KEY_GONE,
    KEY_READABLE,
    KEYS_OPEN,
    CERTIFICATE_EXPIRED,
    CERTIFICATE_EXPIRES,
    CERTIFICATE_MISMATCH,
    CERTIFICATE_WAITS,
)


def node(facts: Facts) -> list[Finding]:
    """Whether there is a process, and whether it serves."""
    about = facts.node
    out = []
    if not about.running:
        start = f"`mnemesh serve --detach{about.start}`"
        out.append(NOT_RUNNING(f"no node runs here: {about.trouble}", fix=f"Start it: {start}"))
    elif about.trouble:
        out.append(
            NOT_SERVING(
                f"the node does not serve reads and writes: {about.trouble}",
                fix="See its log; a node that joins needs a linked member",
            )
        )
    if about.recovering:
        out.append(
            RECOVERING(
                "the node was restored and has not pulled what it lacks: it takes no writes",
                fix="Bring a peer into reach, or restore with --as-founder when none is left",
            )
        )
    if about.faults:
        out.append(
            FAULTS_ARMED(
                f"this node fails by order, from {about.faults}: it is a test, not a service",
                fix=f"Take {VARIABLE} out of the environment of the node, {restart(facts)}",
            )
        )
    out += [
        FAULT_ORDER_WRONG(f"in the faults folder: {why}", fix="Correct or remove it")
        for why in about.wrong_orders
    ]
    return [*out, *_last_time(facts)] or [say.ok("the node runs and serves")]


def _last_time(facts: Facts) -> list[Finding]:
    about = facts.node
    log = f"see {about.log}" if about.log else "see its log"
    if about.last_exit == Exit.INTEGRITY:
        words = "the process before this one ended because stored bytes were damaged"
        read = node_command(facts, "verify")
        return [ENDED_DAMAGED(words, fix=f"{read}, look at the disk, {restart(facts)}")]
    if about.last_exit == Exit.DISK:
        words = "the process before this one ended because the disk reported an error"
        return [
            ENDED_DISK(words, fix=f"Look at the disk and the log of the kernel, {restart(facts)}")
        ]
    if not about.running or about.up_ms > _CRASH_TOLD_MS:
        return []
    if about.killed:
        words = "the process before this one ended without a word (killed, or power was lost)"
        return [ENDED_CRASH(words, fix=f"Look for the reason, {log}; {restart(facts)}")]
    if about.last_exit == Exit.ERROR:
        words = "the process before this one ended with an error"
        return [ENDED_CRASH(words, fix=f"Look for the reason, {log}; {restart(facts)}")]
    return []


def config(facts: Facts) -> list[Finding]:
    """Whether the configuration says what its author means, and can be used for a start."""
    about = facts.config
    out = [
        UNKNOWN_VARIABLE(words, fix=f"Correct the name, or unset it; {restart(facts)}")
        for words in about.warnings
    ]
    if about.trouble:
        out.append(
            CONFIG_UNUSABLE(
                f"the configuration cannot be used as it stands: {about.trouble}",
                fix=f"Correct {about.path}: the next start would fail",
            )
        )
    if about.reloadable:
        out.append(
            CONFIG_RELOAD(
                f"changed and not in force yet: {', '.join(about.reloadable)}",
                fix=reload_now(facts),
            )
        )
    if about.waiting:
        out.append(
            CONFIG_RESTART(
                f"changed, in force after a restart: {', '.join(about.waiting)}", fix=restart(facts)
            )
        )
    if about.open_to_others:
        out.append(
            CONFIG_WRITABLE(f"other users can write {about.path}", fix=f"`chmod go-w {about.path}`")
        )
    if facts.settings is not None and facts.settings.logging.level == "debug":
        fix = set_to(facts, "logging.level", "info")
        out.append(LOG_DEBUG("the log level is debug", fix=fix))
    return out or [say.ok("the configuration is in force as it stands")]


def identity(facts: Facts) -> list[Finding]:
    """Whether the keys are there and private, and the certificate will last."""
    about = facts.identity
    if about is None:
        return []
    out = [found for key in about.keys for found in _key(key)]
    out += _certificate(facts, about)
    return out or [say.ok("keys are private and the certificate is valid")]


def _key(key: KeyFact) -> list[Finding]:
    if key.mode is None:
        return [
            KEY_GONE(
                f"{key.path} is gone; the next start would fail or take another identity",
                fix="Bring it back from where you keep a copy",
            )
        ]
    if not key.mode & _OTHERS:
        return []
    text = f"{key.path} has mode {key.mode:04o}, so other users can reach it"
    if key.folder:
        return [KEYS_OPEN(text, fix=f"`chmod 700 {key.path}`")]
    return [KEY_READABLE(text, fix=f"`chmod 600 {key.path}`")]


def _renew(facts: Facts) -> str:
    if facts.settings is not None and facts.settings.listen.tls_cert is None:
        # It is not used before every member lets it in, and names those that do not.
        return f"Renew it: {node_command(facts, 'node certificate renew')}"
    return (
        "Make a new certificate, let every member allow its fingerprint first, put it in place, "
        f"{reload_now(facts)}"
    )


def _certificate(facts: Facts, about: IdentityFacts) -> list[Finding]:
    out = []
    if about.certificate_trouble:
        out.append(
            CERTIFICATE_MISMATCH(
                f"certificate and key cannot be used together: {about.certificate_trouble}",
                fix=f"Put the pair that belongs together in place, {reload_now(facts)}",
            )
        )
    elif about.certificate_waits:
        out.append(
            CERTIFICATE_WAITS(
                "the file holds another certificate than the node shows", fix=reload_now(facts)
            )
        )
    if about.certificate_expires_ms is None:
        return out
    days = (about.certificate_expires_ms - facts.now_ms) / _MS_PER_DAY
    fix = _renew(facts)
    if days <= 0:
        out.append(CERTIFICATE_EXPIRED("the certificate has expired", fix=fix))
    elif days < _EXPIRY_WARNING_DAYS:
        severity = CRITICAL if days < _EXPIRY_CRITICAL_DAYS else WARNING
        text = f"the certificate expires in {days:.0f} days"
        out.append(CERTIFICATE_EXPIRES(text, fix=fix, severity=severity))
    return out

"""What an operator can get wrong on one node: each thing, and what has to be found then.

Law: a row is one thing that is wrong; whatever else it makes wrong is named in it, too.
"""

import datetime as dt
import os
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from node.facts import LastExit
from tests.integration.rig import until
from tests.integration.rig_commands import told
from tests.integration.rig_doctor import Ward, change, configure, hup, note_backup, restart
from transport.certificate import make_certificate

_LIFE_DAYS = 7300
_RUN_NODE = "from node.cli import main; main()"
_STRANGER = "5f2d7a0c9b1e4836d0a7c4e2f19b8d6357a1c0e4b2f68d9a3c5e7f10b4d2a698"
Deed = Callable[[Ward], object]
Wanted = tuple[str, str, str]


def nothing(_ward: Ward) -> None:
    """It is so already, or there is nothing more to do."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that is wrong.

    Attributes:
        plant: makes it so.
        wanted: what has to be found: section, severity, words.
        by_hand: what the words of the fix ask for beside its commands, before these.
        filled: what stands for the words in capitals.
        needs: a reason to leave it out on this machine; empty when there is none.
    """

    name: str
    plant: Deed
    wanted: tuple[Wanted, ...]
    by_hand: Deed = nothing
    filled: dict[str, str] = field(default_factory=dict)
    needs: Callable[[], str] = str


def keys(ward: Ward) -> Path:
    return ward.looked.data_dir / "keys"


def config(ward: Ward) -> Path:
    return ward.looked.data_dir / "config.toml"


def mode(name: str, bits: int) -> Deed:
    return lambda ward: (keys(ward) / name if name else keys(ward)).chmod(bits)


def set_live(section: str, key: str, value: str) -> Deed:
    return lambda ward: configure(ward.looked, section, key, value)


def set_at_start(section: str, key: str, value: str) -> Deed:
    return lambda ward: restart(ward.looked, lambda: change(config(ward), section, key, value))


def set_in_file(section: str, key: str, value: str) -> Deed:
    return lambda ward: change(config(ward), section, key, value)


def in_environment(name: str, value: str) -> Deed:
    def plant(ward: Ward) -> None:
        ward.looked.environment[name] = value.replace("HERE", str(ward.folder))
        restart(ward.looked)

    return plant


def forget(name: str) -> Deed:
    return lambda ward: ward.looked.environment.pop(name)


def certificate(*, age_days: float) -> Deed:
    """One that was made so long ago, put in place as a renewal is."""

    def plant(ward: Ward) -> None:
        now = dt.datetime.now(dt.UTC) - dt.timedelta(days=age_days)
        made = make_certificate("alone", ["localhost", "127.0.0.1"], now, os.urandom)
        made.save(keys(ward) / "tls.crt", keys(ward) / "tls.key", force=True)
        restart(ward.looked)

    return plant


def renewed(ward: Ward) -> None:
    """What an operator does who is told to make a new certificate and to put it in place."""
    made = make_certificate(
        "alone", ["localhost", "127.0.0.1"], dt.datetime.now(dt.UTC), os.urandom
    )
    made.save(keys(ward) / "tls.crt", keys(ward) / "tls.key", force=True)


def other_key(ward: Ward) -> None:
    made = make_certificate("x", ["localhost"], dt.datetime.now(dt.UTC), os.urandom)
    made.save(ward.folder / "other.crt", ward.folder / "other.key", force=True)
    shutil.copy(ward.folder / "other.key", keys(ward) / "tls.key")


def limit(which: int, soft: int) -> Deed:
    def plant(ward: Ward) -> None:
        hard = resource.prlimit(ward.looked.pid, which)[1]
        resource.prlimit(ward.looked.pid, which, (soft, hard))

    return plant


def kill(ward: Ward) -> None:
    ward.looked.kill()
    ward.looked.start()
    until(ward.looked.ready, "it serves")


def ended_with(code: int) -> Deed:
    def plant(ward: Ward) -> None:
        note = LastExit(code=code, at_ms=int(time.time() * 1000), what="planted")
        restart(ward.looked, lambda: note.write(ward.looked.data_dir / "last_exit.json"))

    return plant


def aside(ward: Ward) -> None:
    (ward.looked.data_dir / "aside-0123456789abcdef-1").mkdir()


def append(name: str, text: str) -> Deed:
    def plant(ward: Ward) -> None:
        path = keys(ward) / name if name != "config.toml" else config(ward)
        path.touch(0o600)
        path.write_text(path.read_text() + text)

    return plant


def cut_off(name: str, text: str) -> Deed:
    def mend(ward: Ward) -> None:
        path = keys(ward) / name if name != "config.toml" else config(ward)
        path.write_text(path.read_text().replace(text, ""))

    return mend


def group() -> Path:
    return Path("/sys/fs/cgroup/memory")


def no_groups() -> str:
    free = (group() / "memory.limit_in_bytes").exists() and os.access(group(), os.W_OK)
    return "" if free else "no control group of memory can be made here"


def squeezed(ward: Ward) -> None:
    """A control group of its own, with little more than the node uses."""
    made = group() / f"mnemesh-test-{os.getpid()}"
    made.mkdir(exist_ok=True)
    # It is started within, so that the memory it takes is counted there.
    ward.looked.launch = (
        "-P",
        "-c",
        f"import os; open({str(made / 'tasks')!r}, 'w').write(str(os.getpid())); {_RUN_NODE}",
    )
    restart(ward.looked)
    ward.looked.launch = ("-P", "-m", "node")
    used = int((made / "memory.usage_in_bytes").read_text())
    stat = dict(line.split() for line in (made / "memory.stat").read_text().splitlines())
    real = used - int(stat["total_inactive_file"])
    (made / "memory.limit_in_bytes").write_text(str(int(real / 0.95)))


def unsqueezed(ward: Ward) -> None:
    restart(ward.looked)
    with_group = group() / f"mnemesh-test-{os.getpid()}"
    until(lambda: not (with_group / "tasks").read_text(), "the group is empty")
    with_group.rmdir()


def foreign(ward: Ward) -> None:
    change(config(ward), "federation", "foreign_interval_secs", "0.1")
    set_at_start("federation", "foreign_peers", '["https://127.0.0.1:1"]')(ward)


def no_foreign(ward: Ward) -> None:
    restart(ward.looked, lambda: change(config(ward), "federation", "foreign_peers", None))


def policy(ward: Ward) -> None:
    rules = {"governance": {"write": "approve"}}
    ward.looked.tell("POST", "/namespaces/planted/standard", rules, x_agent_id="ann")


def registered(ward: Ward) -> None:
    ward.looked.tell("POST", "/agents", {"agent_id": "human:hana", "agent_type": "human"})


def filled_map(ward: Ward) -> None:
    set_at_start("storage", "map_bytes", str(1 << 20))(ward)

    def fills() -> bool:
        ward.looked.store("fills the map", "x" * 20_000)
        return any("of the address range" in text for (_, _, text), _ in ward.new())

    until(fills, "the map is nearly full", 60.0)


CASES = [
    Case(
        name="key-readable",
        plant=mode("node.key", 0o644),
        wanted=(("identity", "critical", "node.key has mode 0644"),),
    ),
    Case(
        name="api-key-readable",
        plant=mode("api_key", 0o640),
        wanted=(("identity", "critical", "api_key has mode 0640"),),
    ),
    Case(
        name="key-folder-open",
        plant=mode("", 0o755),
        wanted=(("identity", "warning", "keys has mode 0755"),),
    ),
    Case(
        name="allowlist-writable",
        plant=lambda ward: (append("allowlist", "# mine\n")(ward), mode("allowlist", 0o666)(ward)),
        wanted=(("allowlist", "critical", "other users can write"),),
    ),
    Case(
        name="allowlist-unreadable",
        plant=append("allowlist", "no fingerprint\n"),
        wanted=(("allowlist", "critical", "cannot be read"),),
        by_hand=cut_off("allowlist", "no fingerprint\n"),
    ),
    Case(
        name="outsider-allowed",
        plant=lambda ward: told("node", "allow", _STRANGER, "--name", "guest", node=ward.looked),
        wanted=(("allowlist", "info", "guest may connect"),),
    ),
    Case(
        name="config-writable",
        plant=lambda ward: config(ward).chmod(0o666),
        wanted=(("config", "warning", "other users can write"),),
    ),
    Case(
        name="config-unusable",
        plant=append("config.toml", "\n[quorum]\nwrits = 3\n"),
        wanted=(("config", "critical", "writs"),),
        by_hand=cut_off("config.toml", "\n[quorum]\nwrits = 3\n"),
    ),
    Case(
        name="config-not-reloaded",
        plant=set_in_file("quorum", "timeout_ms", "2500"),
        wanted=(("config", "info", "quorum.timeout_ms"),),
    ),
    Case(
        name="config-not-in-force",
        plant=set_in_file("limits", "recall_items_max", "40"),
        wanted=(("config", "info", "limits.recall_items_max"),),
    ),
    Case(
        name="log-debug",
        plant=set_live("logging", "level", '"debug"'),
        wanted=(("config", "info", "debug"),),
    ),
    Case(
        name="unknown-variable",
        plant=in_environment("MNEMESH_PROT", "1"),
        wanted=(("config", "warning", "MNEMESH_PROT is no setting"),),
        by_hand=forget("MNEMESH_PROT"),
    ),
    Case(
        name="setting-of-the-environment",
        plant=in_environment("MNEMESH_PERMISSIONS_MODE", "advisory"),
        wanted=(("governance", "critical", "mode is advisory"),),
    ),
    Case(
        name="faults-armed",
        plant=in_environment("MNEMESH_FAULTS", "HERE/faults"),
        wanted=(("node", "critical", "fails by order"),),
    ),
    *[
        Case(
            name=f"{part}.{key}",
            plant=set_live(part, key, value),
            wanted=((section, "critical", f"{part}.{key} is"),),
        )
        for section, part, key, value in (
            ("governance", "permissions", "mode", '"advisory"'),
            ("governance", "permissions", "mode", '"off"'),
            ("governance", "governance", "fail_open_on_error", "true"),
            ("exposure", "federation", "require_signature", "false"),
            ("exposure", "federation", "require_nonce", "false"),
        )
    ],
    *[
        Case(
            name=key,
            plant=set_live("subscriptions", key, "true"),
            wanted=(("exposure", "warning", f"subscriptions.{key} is on"),),
        )
        for key in ("allow_loopback_webhooks", "allow_dns_failure")
    ],
    Case(
        name="hook-fails-open",
        plant=lambda ward: (
            append(
                "config.toml",
                '\n[hooks.gate]\non = ["before_store"]\ncommand = ["/bin/true"]\n'
                'on_failure = "open"\n',
            )(ward),
            hup(ward.looked),
        ),
        wanted=(("hooks", "warning", "the hook gate"),),
    ),
    Case(
        name="killed",
        plant=kill,
        wanted=(("node", "warning", "ended without a word"),),
    ),
    Case(
        name="ended-with-a-defect",
        plant=ended_with(1),
        wanted=(("node", "warning", "ended with an error"),),
    ),
    Case(
        name="ended-damaged",
        plant=ended_with(5),
        wanted=(("node", "warning", "stored bytes were damaged"),),
    ),
    Case(
        name="ended-disk-error",
        plant=ended_with(10),
        wanted=(("node", "warning", "the disk reported an error"),),
    ),
    Case(
        name="recovering",
        plant=lambda ward: (ward.looked.data_dir / "recovering.json").write_text("{}"),
        wanted=(("node", "warning", "was restored"),),
        by_hand=lambda ward: (ward.looked.data_dir / "recovering.json").unlink(),
    ),
    Case(
        name="backup-never",
        plant=lambda ward: (ward.looked.data_dir / "last_backup.json").unlink(),
        wanted=(("backups", "warning", "never backed up"),),
        filled={"DIR": "HERE/backups"},
    ),
    Case(
        name="backup-stale",
        plant=lambda ward: note_backup(ward.looked, hours=72),
        wanted=(("backups", "warning", "72 hours old"),),
        filled={"DIR": "HERE/backups"},
    ),
    Case(
        name="scrub-off",
        plant=set_at_start("integrity", "scrub_interval_hours", "0"),
        wanted=(("scrub", "warning", "never read through by itself"),),
    ),
    Case(
        name="store-set-aside",
        plant=aside,
        wanted=(("store", "warning", "a store was set aside"),),
    ),
    Case(
        name="map-nearly-full",
        plant=filled_map,
        wanted=(("store", "warning", "of the address range"),),
    ),
    Case(
        name="certificate-expires",
        plant=certificate(age_days=_LIFE_DAYS - 20),
        wanted=(("identity", "warning", "expires in"),),
    ),
    Case(
        name="certificate-expires-soon",
        plant=certificate(age_days=_LIFE_DAYS - 4),
        wanted=(("identity", "critical", "expires in"),),
    ),
    Case(
        name="certificate-expired",
        plant=certificate(age_days=_LIFE_DAYS + 4),
        wanted=(("identity", "critical", "has expired"),),
    ),
    Case(
        name="certificate-key-mismatch",
        plant=other_key,
        wanted=(("identity", "critical", "cannot be used together"),),
        by_hand=renewed,
    ),
    Case(
        name="certificate-not-in-force",
        plant=renewed,
        wanted=(("identity", "info", "another certificate"),),
    ),
    Case(
        name="nofile-low",
        plant=limit(resource.RLIMIT_NOFILE, 512),
        wanted=(("host", "warning", "may hold 512 descriptors"),),
    ),
    Case(
        name="core-dumps",
        plant=lambda ward: resource.prlimit(ward.looked.pid, resource.RLIMIT_CORE, (1, 1)),
        wanted=(("host", "info", "core file"),),
    ),
    Case(
        name="file-size-limited",
        plant=limit(resource.RLIMIT_FSIZE, 1 << 34),
        wanted=(("host", "warning", "beyond 16384 MiB"),),
    ),
    Case(
        name="memory-limit-near",
        plant=squeezed,
        wanted=(("host", "warning", "that the control group may use"),),
        needs=no_groups,
    ),
    Case(
        name="foreign-away",
        plant=foreign,
        wanted=(("foreign", "warning", "the foreign peer https://127.0.0.1:1 was not reached"),),
        by_hand=no_foreign,
    ),
    Case(
        name="policy-cannot-be-met",
        plant=policy,
        wanted=(("governance", "warning", "a human must approve and none is registered"),),
        by_hand=registered,
    ),
    Case(
        name="no-administrator",
        plant=nothing,
        wanted=(("governance", "info", "no system administrator"),),
        filled={"AGENT": "ann"},
    ),
    # From here on the mesh has an administrator, and takes no such mode from this node.
    Case(
        name="mode-refused",
        plant=set_live("permissions", "mode", '"off"'),
        wanted=(("governance", "critical", "the mesh refuses the permissions.mode of this node"),),
    ),
]

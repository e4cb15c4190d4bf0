"""New certificates under load: two pins for a while, and no write that fails."""

import datetime as dt
import os
import random
import signal
import threading
from pathlib import Path

import pytest

from node.settings.toml_file import write_config
from tests.integration.conftest import Found
from tests.integration.rig import (
    RealNode,
    check_equal,
    cleaned_up,
    content_hash,
    free_ports,
    until,
    until_linked,
)
from tests.integration.rig_commands import mnemesh, told
from tests.integration.rig_mesh import list_of, self_signed
from transport import allowlist
from transport.certificate import fingerprint, load_der, renew_certificate
from transport.pins import key_pin

pytestmark = [pytest.mark.integration, pytest.mark.slow]


class Writers:
    """A loop of writes at each node; every one must be confirmed."""

    def __init__(self, nodes: list[RealNode]) -> None:
        self.promised: dict[str, str] = {}
        self.failed: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(node,)) for node in nodes]
        for thread in self._threads:
            thread.start()

    def _write(self, node: RealNode) -> None:
        for turn in range(1_000_000):
            if self._over.is_set():
                return
            memory = {"title": f"{node.name}-{turn}", "content": "text"}
            try:
                reply = node.ask("POST", "/memories", memory)
            except OSError as error:
                self.failed.append(f"{node.name}: {error!r}")
                continue
            if reply.status == 201:
                self.promised[reply.body["id"]] = content_hash(memory)
            else:
                self.failed.append(f"{node.name}: {reply.status} {reply.body}")

    def moved(self, count: int = 20) -> None:
        """Wait until so many more writes went through."""
        goal = len(self.promised) + count
        until(lambda: len(self.promised) >= goal or self.failed, "writes go on")
        assert not self.failed, self.failed[:3]

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)
        assert not self.failed, self.failed[:3]


def pair_of(node: RealNode) -> tuple[Path, Path]:
    flags = node.flags
    return Path(flags[flags.index("--tls-cert") + 1]), Path(flags[flags.index("--tls-key") + 1])


def hang_up(node: RealNode) -> None:
    assert node.process is not None
    os.kill(node.pid, signal.SIGHUP)


def shows(node: RealNode, wanted: str) -> bool:
    """Whether all others saw this certificate on a link, or in a status, by now."""
    return bool(node.mesh()) and any(
        member["name"] == node.name and member.get("fingerprint") == wanted
        for member in node.mesh()["members"]
    )


def test_every_certificate_is_replaced_under_load_and_no_write_fails(
    found: Found, tmp_path: Path
) -> None:
    nodes = found(3, flags=("--quorum-timeout-ms", "8000"))
    writers = Writers(nodes)
    try:
        for node in nodes:
            writers.moved()
            old = node.fingerprint
            fresh = self_signed(tmp_path / "fresh", node.name)
            for other in nodes:  # two pins
                allowlist.add(list_of(other), fresh.fingerprint, node.name)
            certificate, key = pair_of(node)
            key.write_bytes(fresh.key.read_bytes())
            certificate.write_bytes(fresh.certificate.read_bytes())
            hang_up(node)
            until(lambda node=node, fresh=fresh: shows(node, fresh.fingerprint), "it is in force")
            writers.moved()
            for other in nodes:  # the last step ends the links that show the old one
                allowlist.remove(list_of(other), old)
            node.fingerprint = fresh.fingerprint
            writers.moved()
    finally:
        writers.stop()
    until_linked(nodes)
    check_equal(nodes, writers.promised)


def test_many_signals_drop_no_write_while_everything_changes(found: Found, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    key_file = tmp_path / "own.key"
    key_file.write_text("first-key\n")
    key_file.chmod(0o600)
    admin = {"admin": {"api_key_file": str(key_file)}}
    nodes = found(3, flags=("--quorum-timeout-ms", "8000"), start=False, config=admin)
    for node in nodes:
        node.api_key = "first-key"
        node.start()
    until_linked(nodes)
    first = nodes[0]
    # Writers have a key that was given out: the node's own one changes under them.
    given = told("key", "create", "--name", "writers", "--role", "agent-writer", node=first)
    wanted = {"x_api_key": given["key"]}
    writing = [
        RealNode(name=n.name, data_dir=n.data_dir, flags=n.flags, agent=n.agent) for n in nodes[:1]
    ]
    writing[0].api_key = wanted["x_api_key"]
    writers = Writers(writing)
    stranger = self_signed(tmp_path / "strangers", "stranger").fingerprint
    try:
        for turn in range(80):
            match turn % 4:
                case 0:
                    change = allowlist.add if rng.random() < 0.5 else allowlist.remove
                    change(list_of(first), stranger)
                case 1:
                    level = rng.choice(["debug", "info", "warning"])
                    config = admin | {"logging": {"level": level, "requests": rng.random() < 0.5}}
                    write_config(first.data_dir / "config.toml", config)
                case 2:
                    key_file.write_text(f"key-{turn}\n")
                    first.api_key = f"key-{turn}"
                case _:
                    certificate, key = pair_of(first)
                    again = renew_certificate(
                        certificate.read_bytes(),
                        key.read_bytes(),
                        dt.datetime.now(dt.UTC),
                        os.urandom,
                    )
                    for other in nodes:
                        allowlist.add(list_of(other), key_pin(again.der), first.name)
                    certificate.write_bytes(again.certificate_pem)
            for _ in range(rng.randrange(1, 4)):
                hang_up(first)
            writers.moved(2)
        until(lambda: first.ask("GET", "/memories").status == 200, "the newest key is in force")
        first.api_key = "first-key"
        assert first.ask("GET", "/memories").status == 401, "the first one is not"
    finally:
        writers.stop()
    assert len(first.events("settings_reloaded")) >= 20
    assert not first.events("settings_refused")


def identified(folder: Path, name: str) -> RealNode:
    """A node as `init` makes it, told of under the address that it really has."""
    peer, agent = free_ports(2)
    data_dir, url = folder / name, f"https://127.0.0.1:{peer}"
    made = told("init", "--name", name, "--advertise", url, "--data-dir", data_dir)
    return RealNode(
        name=name,
        data_dir=data_dir,
        flags=["--port", str(peer), "--agent-listen", f"127.0.0.1:{agent}"],
        agent=("127.0.0.1", agent),
        api_key=(data_dir / "keys" / "api_key").read_text().strip(),
        url=url,
        fingerprint=made["fingerprint"],
    )


def test_the_command_renews_only_what_every_member_lets_in(tmp_path: Path) -> None:
    one, two = nodes = [identified(tmp_path, name) for name in ("a", "b")]
    with cleaned_up(nodes):
        one.start()
        until(lambda: one.ready(quorum=False), "the first serves", seen=one.tail)
        told("node", "allow", two.fingerprint, "--name", "b", node=one)
        # The second knows the first by its key.
        pin = told("node", "certificate", node=one)["key_pin"]
        joined = told("node", "join", one.url, "--fingerprint", pin, node=two)
        assert joined["sponsor"]["fingerprint"] == pin
        two.start()
        until_linked(nodes)
        # Known by its key: the same key goes on working, nobody is asked.
        shown = told("node", "certificate", "renew", node=one)
        assert shown["key_pin"] == pin
        assert shown["fingerprint"] != one.fingerprint
        until(lambda: shows(two, two.fingerprint) and one.links() >= {"b"}, "it goes on")
        assert one.store("after the first")["quorum_acks"] >= 2
        # The command line knows, from the note beside the store, what the node shows now.
        until(
            lambda: told("node", "fingerprint", node=one)["fingerprint"] == shown["fingerprint"],
            "the note follows",
        )
        # The second is known by its certificate: it has to be let in first.
        refused = mnemesh("node", "certificate", "renew", "--new-key", node=two)
        assert refused.code == 4, refused.err
        assert "does not allow the next certificate" in refused.err
        assert told("node", "certificate", node=two)["fingerprint"] == two.fingerprint
        following = told("node", "certificate", node=two)["next"]["key_pin"]
        told("node", "allow", following, "--name", "b-next", node=one)
        until(
            lambda: mnemesh("node", "certificate", "renew", "--new-key", node=two).code == 0,
            "it is let in",
        )
        now = told("node", "certificate", node=two)
        assert (now["key_pin"], now.get("next")) == (following, None)
        told("node", "deny", two.fingerprint, node=one)
        until_linked(nodes)
        assert two.store("after the second")["quorum_acks"] >= 2
        kept = two.data_dir / "keys" / "tls.crt.old"
        assert fingerprint(load_der(kept)) == two.fingerprint

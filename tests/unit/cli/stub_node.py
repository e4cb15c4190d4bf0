"""A process that holds a data directory and answers just what `mesh up` asks of a node.

Law: no store and no replication; only the lock, the facts, both listeners and the signals.
Run as `python stub_node.py --data-dir DIR`.
"""

import os
import signal
import sys
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from node.cli.mesh_plan import read_plan
from node.lock import DirectoryLock
from node.paths import Paths, resolve_paths
from node.settings import find_material, load_settings
from tests.unit.cli.standin import StandIn, facts_of, handler_of
from transport import allowlist
from transport.peer_certificates import PeerCertificates
from transport.tls import OwnCertificate, Trust, server_context


class _TlsServer(ThreadingHTTPServer):
    context: Any

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        return self.context.wrap_socket(connection, server_side=True), address

    def handle_error(self, *_args: object) -> None:
        pass


def tell_mesh(node: StandIn, paths: Paths) -> None:
    plan = read_plan(paths.data_dir.parent)
    assert plan is not None
    settings = load_settings(paths, environ={})
    writes = settings.quorum.writes
    n = plan.nodes
    body = {"quorum": {"n": n, "w": n // 2 + 1 if writes is None else writes}, "members": []}
    node.answers[("GET", "/api/v1/mesh")] = [(200, body, {})]


def main() -> None:
    home = Path(sys.argv[sys.argv.index("--data-dir") + 1])
    paths = resolve_paths({}, home, data_dir=home)
    settings = load_settings(paths, environ={})
    material = find_material(settings, {})
    assert material.tls_cert is not None
    assert material.tls_key is not None
    if settings.federation.cluster is None and not paths.join.exists():
        raise SystemExit("a node that founds nothing has to join")
    with DirectoryLock(paths.lock):
        node = StandIn(paths=paths)
        node.on("GET", "/readyz", 200, "ok")
        tell_mesh(node, paths)
        node.on("POST", "/api/v1/mesh/join", 200, {"cluster": "c", "members": []})
        agent = (settings.listen.agent_listen or "").rpartition(":")
        plain = ThreadingHTTPServer((agent[0], int(agent[2])), handler_of(node))
        own = OwnCertificate.load(material.tls_cert, material.tls_key)
        listed = allowlist.load(paths.allowlist, missing_is_empty=True)
        tls = _TlsServer((settings.listen.host, settings.listen.port), handler_of(node))
        pins = PeerCertificates(paths.peers).load_all(listed)
        tls.context = server_context(own, Trust(allowed=listed.fingerprints, pins=pins))
        for server in (plain, tls):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        if "STUB_NO_RELOAD" not in os.environ:
            signal.signal(signal.SIGHUP, lambda *_args: tell_mesh(node, paths))
        else:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        paths.current.write_text("store-1", encoding="utf-8")
        url = f"http://{settings.listen.agent_listen}"
        facts_of(node, agent_url=url, pid=os.getpid()).write(paths.facts)
        while True:
            signal.pause()


if __name__ == "__main__":
    main()

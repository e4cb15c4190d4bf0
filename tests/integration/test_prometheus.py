"""A real Prometheus scrapes a mesh over its own listeners."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from node import __version__
from node.metrics import TABLE, sample_names
from tests.integration.rig import RealNode, cleaned_up, until
from tests.integration.rig_commands import mnemesh
from tests.integration.rig_mesh import founded, list_of, self_signed, start_all
from tests.integration.rig_prometheus import (
    RULES,
    Prometheus,
    configured,
    needs_prometheus,
    promtool,
    scraping,
)
from transport import allowlist

pytestmark = [pytest.mark.integration, pytest.mark.slow, needs_prometheus]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealNode]]:
    """Three nodes with API keys, founded by flags."""
    folder = tmp_path_factory.mktemp("scraped")
    secret = folder / "agents.key"
    secret.write_text("k" * 43)
    secret.chmod(0o600)
    nodes = founded(folder, 3, config={"admin": {"api_key_file": str(secret)}})
    for node in nodes:
        node.api_key = secret.read_text()
    with cleaned_up(nodes):
        start_all(nodes)
        yield nodes


def certificates(nodes: list[RealNode], target: Path) -> Path:
    """Those of all nodes in one file."""
    own = [Path(node.flags[node.flags.index("--tls-cert") + 1]) for node in nodes]
    target.write_bytes(b"".join(path.read_bytes() for path in own))
    return target


def metrics_key(nodes: list[RealNode], target: Path) -> Path:
    """A key that reads metrics, drawn by the first node and good on all."""
    words = ("key", "create", "--role", "metrics", "--name", "prometheus")
    for node in nodes:
        way = "--from" if target.exists() else "--out"
        ran = mnemesh(*words, way, target, node=node)
        assert ran.code == 0, ran.err
    return target


@pytest.fixture(scope="module")
def prometheus(
    mesh: list[RealNode], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    key = metrics_key(mesh, folder / "metrics.key")
    files = {"credentials_file": key, "ca_file": certificates(mesh, folder / "nodes.pem")}
    with scraping(folder / "run", configured("prometheus.yml", mesh, files)) as running:
        running.until_scraped()
        yield running


def test_all_targets_are_up_and_say_who_they_are(
    mesh: list[RealNode], prometheus: Prometheus
) -> None:
    for number in range(5):
        mesh[0].store(f"title {number}")
    rows = prometheus.query("mnemesh_build_info")
    assert {row["metric"]["version"] for row in rows} == {__version__}
    assert len(rows) == len(mesh)
    until(
        lambda: (
            [row["value"][1] for row in prometheus.query("sum(mnemesh_memory_writes_total)")]
            == ["5"]
        ),
        "the writes are counted",
    )
    until(
        lambda: [row["value"][1] for row in prometheus.query("sum(mnemesh_peer_up)")] == ["6"],
        "every pair is linked",
    )


def test_every_series_is_of_the_table_and_every_family_is_known(prometheus: Prometheus) -> None:
    names = set(prometheus.ask("label/__name__/values"))
    ours = {name for name in names if name.startswith("mnemesh_")}
    assert ours <= sample_names()
    told = prometheus.ask("metadata", limit="1000")
    kinds = {name: rows[0]["type"] for name, rows in told.items() if name.startswith("mnemesh_")}
    assert kinds == {row.name: row.kind.__name__.lower() for row in TABLE}
    labels = set(prometheus.ask("labels"))
    assert not labels & {"agent", "agent_id", "memory", "memory_id", "namespace"}


def test_the_rules_are_loaded_and_all_dark_but_what_a_fresh_mesh_lights(
    prometheus: Prometheus,
) -> None:
    groups = prometheus.ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == RULES.read_text().count("- alert:")
    until(
        lambda: (
            {rule["health"] for g in prometheus.ask("rules")["groups"] for rule in g["rules"]}
            == {"ok"}
        ),
        "every rule was evaluated without an error",
        seen=lambda: str([r for r in rules if r["health"] != "ok"]),
    )
    assert prometheus.firing() == set()


def test_the_page_is_as_promtool_wants_it(mesh: list[RealNode]) -> None:
    page = str(mesh[0].tell("GET", "/metrics"))
    promtool("check", "metrics", text=page)
    families = {family.name for family in text_string_to_metric_families(page)}
    assert len([name for name in families if name.startswith("mnemesh_")]) == len(TABLE)


def test_the_key_of_prometheus_opens_metrics_and_nothing_else(
    mesh: list[RealNode], prometheus: Prometheus
) -> None:
    key = (prometheus.folder.parent / "metrics.key").read_text().strip()
    for node in mesh:
        scraper = RealNode(
            name=node.name, data_dir=node.data_dir, flags=[], agent=node.agent, api_key=key
        )
        for path in ("/metrics", "/livez", "/readyz"):
            assert scraper.ask("GET", path).status == 200
        for path in ("/memories", "/mesh", "/doctor", "/version", "/events/stream"):
            reply = scraper.ask("GET", path)
            assert (reply.status, reply.body["error"]) == (403, "role_forbids"), path
        written = scraper.ask("POST", "/memories", {"title": "t", "content": "c"})
        assert (written.status, written.body["error"]) == (403, "role_forbids")


def test_a_revoked_key_is_a_target_that_is_down(
    mesh: list[RealNode], prometheus: Prometheus
) -> None:
    assert mnemesh("key", "revoke", "prometheus", node=mesh[2]).code == 0
    last = mesh[2].url.removeprefix("https://")
    until(lambda: "401" in prometheus.targets()[last], "it is refused", seen=prometheus.tail)
    others = {name: state for name, state in prometheus.targets().items() if name != last}
    assert set(others.values()) == {"up"}


def test_a_mesh_without_keys_is_scraped_with_a_client_certificate(tmp_path: Path) -> None:
    nodes = founded(tmp_path / "keyless", 3)
    own = self_signed(tmp_path / "own", "prometheus")
    files = {"cert_file": own.certificate, "key_file": own.key}
    with cleaned_up(nodes):
        start_all(nodes)
        files["ca_file"] = certificates(nodes, tmp_path / "nodes.pem")
        config = configured("prometheus-certificate.yml", nodes, files)
        with scraping(tmp_path / "run", config) as running:
            until(
                lambda: all(state.startswith("down") for state in running.targets().values()),
                "a stranger is refused",
                seen=lambda: str(running.targets()),
            )
            for node in nodes:
                allowlist.add(list_of(node), own.fingerprint, "prometheus")
            running.until_scraped()
            assert len(running.query("mnemesh_build_info")) == 3

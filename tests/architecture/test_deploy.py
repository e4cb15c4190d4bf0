"""What lies in deploy/ is well formed, and agrees with the program and with itself.

What a machine without the service in question cannot run is held against its schema or its own
linter here; `tests/integration/test_deploy.py` runs the rest.
"""

import plistlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import kubernetes_validate as schemas
import pytest
import yaml

from node import __version__
from node.settings import TABLE
from tests.architecture.docs_blocks import ROOT

DEPLOY: Final = ROOT / "deploy"
UNITS: Final = sorted((DEPLOY / "systemd").iterdir())
SERVICES: Final = [path for path in UNITS if path.suffix == ".service"]
KUBERNETES: Final = DEPLOY / "kubernetes"
SCRIPTS: Final = sorted(
    [*DEPLOY.rglob("*.sh"), *(DEPLOY / "debian").glob("p*t*"), DEPLOY / "debian" / "prerm"]
)
NODE_SCHEMA: Final = "1.30"
_CONTAINERS_USER: Final = 9077

systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd on this machine"
)


def analysed(*arguments: str) -> str:
    """What systemd-analyze says, and `failed` after it where it does not agree."""
    done = subprocess.run(
        ["systemd-analyze", *arguments],  # noqa: S607 -- wherever this system has it
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr + ("" if done.returncode == 0 else "failed")


def in_place(folder: Path, unit: Path, further: str = "") -> str:
    """Where a unit lies whose commands exist: ours is where this environment has it."""
    here = str(Path(sys.executable).with_name("mnemesh"))
    for path in UNITS:
        text = path.read_text(encoding="utf-8").replace("/usr/local/bin/mnemesh", here)
        (folder / path.name).write_text(text + (further if path == unit else ""), encoding="utf-8")
    return str(folder / unit.name)


@systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_accepts_the_unit(tmp_path: Path, unit: Path) -> None:
    assert analysed("verify", in_place(tmp_path, unit)) == ""
    assert analysed("verify", in_place(tmp_path, unit, "Frobnicate=yes\n")) != ""


@systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_the_service_is_locked_in(unit: Path) -> None:
    said = analysed("security", "--offline=true", "--threshold=15", "--no-pager", str(unit))
    assert not said.endswith("failed"), said[-200:]


def test_the_node_is_not_restarted_where_a_restart_mends_nothing() -> None:
    unit = (DEPLOY / "systemd" / "mnemesh.service").read_text(encoding="utf-8")
    assert "RestartPreventExitStatus=2 4 5 7 10\n" in unit
    assert "ExecStart=/usr/local/bin/mnemesh serve\n" in unit
    assert "Type=notify\n" in unit


# -- containers -----------------------------------------------------------------------------


def test_the_image_runs_as_nobody_in_particular_and_copies_what_is_there() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line.strip()]
    by = {name: [rest for step, rest in steps if step == name] for name in dict(steps)}
    assert by["USER"] == [f"{_CONTAINERS_USER}:{_CONTAINERS_USER}"]
    assert "ADD" not in by
    assert by["ENTRYPOINT"] == ['["mnemesh"]']
    assert all("--require-hashes" in run or "requirements" not in run for run in by["RUN"])
    assert ":latest" not in text
    assert re.search(r"ARG BASE=\S+:\d+\.\d+", text)
    for copied in by["COPY"]:
        if not copied.startswith("--from"):
            lock, wheel, _ = copied.split()
            assert (ROOT / lock).exists()
            assert wheel == "dist/mnemesh-*.whl"  # `make wheel`
    port = next(row.default for row in TABLE if row.name == "listen.port")
    assert by["EXPOSE"] == [str(port)]


def test_the_composed_nodes_are_those_of_the_command_above_them() -> None:
    text = (DEPLOY / "container" / "compose.yaml").read_text(encoding="utf-8")
    composed = yaml.safe_load(text)
    names = re.search(r"--names (\S+)", text)
    assert names
    assert list(composed["services"]) == names[1].split(",")
    for name, service in composed["services"].items():
        assert service["hostname"] == name
        assert service["volumes"] == [f"./mesh/{name}:/var/lib/mnemesh/node"]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        (port,) = service["ports"]
        assert port.startswith("127.0.0.1:")
    ports = [service["ports"][0] for service in composed["services"].values()]
    assert len(set(ports)) == len(ports)


# -- Kubernetes -----------------------------------------------------------------------------


def manifests() -> list[dict[str, Any]]:
    """Every object of deploy/kubernetes."""
    return [
        thing
        for path in sorted(KUBERNETES.glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for thing in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]


def the(kind: str, name: str = "mnemesh") -> dict[str, Any]:
    (found,) = (m for m in manifests() if m["kind"] == kind and m["metadata"]["name"] == name)
    return found


@pytest.mark.parametrize(
    "manifest", manifests(), ids=lambda m: f"{m['kind']}-{m['metadata']['name']}"
)
def test_a_manifest_fits_its_schema(manifest: dict[str, Any]) -> None:
    if manifest["kind"] == "ServiceMonitor":
        pytest.skip("of another project, whose schemas are not among those of Kubernetes")
    schemas.validate(manifest, NODE_SCHEMA, strict=True)
    spoilt = {**manifest, "frobnicate": True}
    with pytest.raises(schemas.ValidationError):
        schemas.validate(spoilt, NODE_SCHEMA, strict=True)


def test_the_service_monitor_finds_the_port_of_the_members() -> None:
    monitor, members = the("ServiceMonitor"), the("Service")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in members["spec"]["ports"]}
    assert set(endpoint) <= {
        "port", "scheme", "path", "interval", "authorization", "tlsConfig"
    }  # fmt: skip
    wanted, absent = monitor["spec"]["selector"]["matchExpressions"]
    labels = members["metadata"]["labels"]
    assert labels[wanted["key"]] in wanted["values"]
    assert absent["key"] not in labels
    assert absent["key"] in the("Service", "mnemesh-agents")["metadata"]["labels"]


def test_as_many_may_be_disrupted_as_writes_do_without() -> None:
    n = the("StatefulSet")["spec"]["replicas"]
    assert the("PodDisruptionBudget")["spec"]["maxUnavailable"] == n - (n // 2 + 1)


def test_what_is_selected_is_what_the_pods_are_called() -> None:
    template = the("StatefulSet")["spec"]["template"]
    labels = template["metadata"]["labels"].items()
    selectors = [
        the("StatefulSet")["spec"]["selector"]["matchLabels"],
        the("Service")["spec"]["selector"],
        the("Service", "mnemesh-agents")["spec"]["selector"],
        the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector.items() <= labels
    assert the("Service")["spec"]["publishNotReadyAddresses"] is True
    assert the("StatefulSet")["spec"]["serviceName"] == the("Service")["metadata"]["name"]


def test_the_pod_asks_for_nothing_that_the_node_does_not_know() -> None:
    (container,) = the("StatefulSet")["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["serve"]
    variables = {entry["name"] for entry in container["env"]}
    assert variables <= {row.env for row in TABLE} | {"MNEMESH_DATA_DIR"}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["mesh"] == next(row.default for row in TABLE if row.name == "listen.port")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in {"/livez", "/readyz"}  # never with require=quorum
        assert asked["port"] == "probe"
    told = {entry["name"]: entry["value"] for entry in container["env"]}
    assert told["MNEMESH_PROBE_LISTEN"].endswith(f":{ports['probe']}")


def test_the_folder_is_applied_as_a_whole() -> None:
    whole = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8"))
    there = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(whole["resources"]) == there
    (image,) = whole["images"]
    assert image["newTag"] == __version__
    spec = the("StatefulSet")["spec"]["template"]["spec"]
    images = {c["image"] for c in [*spec["containers"], *spec["initContainers"]]}
    assert images == {image["name"]}


# -- the rest -------------------------------------------------------------------------------


def test_launchd_would_read_the_list() -> None:
    job = plistlib.loads((DEPLOY / "launchd" / "org.mnemesh.node.plist").read_bytes())
    assert job["ProgramArguments"][1:] == ["serve"]
    assert job["Label"] == "org.mnemesh.node"
    assert job["KeepAlive"] == {"SuccessfulExit": False}
    # launchd.plist(5) ignores what it does not know, without a word.
    assert set(job) <= {
        "Label", "ProgramArguments", "RunAtLoad", "KeepAlive", "ThrottleInterval", "ExitTimeOut",
        "Umask", "ProcessType", "SoftResourceLimits", "StandardErrorPath",
    }  # fmt: skip
    assert job["Umask"] == 0o077


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_one(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0  # noqa: S607
    if shutil.which("shellcheck"):
        done = subprocess.run(
            ["shellcheck", str(script)],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout

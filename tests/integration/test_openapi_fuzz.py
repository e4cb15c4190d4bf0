"""Requests made from the API's own description, right and wrong, against a real node.

Left out, each for a reason: streams, which have no end; removing members and foreign peers,
which change the node under test; what a language model is asked, since this node has none and
says so with 503; what is said about valid and invalid input as a whole, because
unknown fields are ignored by contract and no schema can say "in the future" or "one of two".
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.rig import RealNode, clean_environment

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

_LEFT_OUT = "stream|mesh/remove|federation/peers|metrics|doctor|verify|auto_tag|expand_query"
_CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,ignored_auth,"
    "missing_required_header,unsupported_method"
)
_SEED = "20260307"


def fuzz(node: RealNode, folder: Path, *more: str) -> tuple[int, str]:
    """Run schemathesis; returns how many requests it made, and what it found."""
    host, port = node.agent
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"http://{host}:{port}/api/v1/openapi.json",
        "-H",
        f"x-api-key: {node.api_key}",
        "--checks",
        _CHECKS,
        "--exclude-path-regex",
        _LEFT_OUT,
        "--generation-allow-x00",
        "false",
        "--generation-database",
        "none",
        "--continue-on-failure",
        "--no-color",
        "--request-timeout",
        "20",
        *more,
    ]
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False
    )
    made = re.search(r"(\d+) generated", done.stdout)
    found = "" if done.returncode == 0 else done.stdout[-20_000:] + done.stderr[-2000:]
    return int(made[1]) if made else 0, found


def check_alive(node: RealNode) -> None:
    assert node.events("request_failed") == []
    assert node.ready()


@pytest.mark.slow
def test_generated_requests_get_the_answers_that_the_description_promises(
    keyed: RealNode, tmp_path: Path
) -> None:
    made, found = fuzz(keyed, tmp_path, "--phases", "coverage,fuzzing", "-n", "25", "--seed", _SEED)
    assert not found, found
    assert made > 3000
    check_alive(keyed)


def test_what_the_description_calls_bounds_gets_the_answers_it_promises(
    keyed: RealNode, tmp_path: Path
) -> None:
    made, found = fuzz(keyed, tmp_path, "--phases", "coverage", "--seed", _SEED)
    assert not found, found
    assert made > 1000
    check_alive(keyed)

"""What wrk says is read strictly, and the script that makes it say so asks what was meant."""

import json
from typing import Any

import pytest

from tests.benchmarks import wrk
from tests.benchmarks.sending import BenchmarkError
from tests.benchmarks.shapes import MARK, shape_of

GOOD = {
    "requests": 5000,
    "duration_us": 2_000_000,
    "p50_us": 1500,
    "p99_us": 9000,
    "max_us": 20_000,
    "connect": 0,
    "read": 0,
    "write": 0,
    "status": 0,
    "timeout": 0,
}


def said(**changed: Any) -> str:
    fields = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    return f"Running 2s test\n  Latency   1.2ms\n{MARK}{json.dumps(fields)}\n"


def told(text: str) -> dict[str, Any]:
    return wrk.told(text, clients=64, cpu_seconds=0.25)


def test_a_good_run_has_the_fields_of_our_own_driver() -> None:
    found = told(said())
    assert found["per_second"] == 2500.0
    assert (found["p50_ms"], found["p99_ms"], found["max_ms"]) == (1.5, 9.0, 20.0)
    assert (found["answers"], found["clients"], found["driver_cpu_seconds"]) == (5000, 64, 0.25)


@pytest.mark.parametrize("fault", ["connect", "read", "write", "status", "timeout"])
def test_one_fault_makes_a_measurement_void(fault: str) -> None:
    with pytest.raises(BenchmarkError, match=fault):
        told(said(**{fault: 1}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Running 2s test\n",
        said() + said(),
        f"{MARK}not json\n",
        f"{MARK}[]\n",
        said(requests=None),
        said(more=1),
        said(requests=0),
        said(duration_us=0),
        said(p50_us=1.5),
        said(p50_us="1"),
        said(p50_us=True),
        said(p50_us=-1),
    ],
)
def test_anything_else_than_one_whole_line_is_refused(text: str) -> None:
    with pytest.raises(BenchmarkError):
        told(text)


def test_a_script_names_method_headers_and_body() -> None:
    script = shape_of({"kind": "write", "content_bytes": 10}).lua("secret")
    assert 'wrk.method = "POST"' in script
    assert 'wrk.headers["X-Api-Key"] = "secret"' in script
    assert "request = function" not in script  # constant requests cost wrk nothing


def test_numbers_of_a_script_begin_again_before_the_last() -> None:
    script = shape_of({"kind": "read", "ids": 1000}).lua("secret")
    assert "local n, first, step, last = 0, 0, 7, 1000" in script
    assert "string.format('%08d', n)" in script
    assert '"/api/v1/memories/seeded-" .. number' in script


def test_text_of_a_script_cannot_end_its_string() -> None:
    shape = shape_of({"kind": "ping", "path": '/a"b\\c\nd'})
    assert '"/a\\034b\\092c\\010d"' in shape.lua(None)

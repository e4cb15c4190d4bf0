"""Requests of every workload, over one core per machine."""

import pytest

from crdt.dot import parse_dot
from node.maelstrom.protocol import Code, Message
from tests.unit.maelstrom.maelstrom_rig import Network


def test_init_echo_and_topology_answer_as_the_protocol_says() -> None:
    net = Network(3)
    assert set(net.answers[1]) == {"type", "msg_id", "in_reply_to"}
    assert net.answers[1]["type"] == "init_ok"
    answer = net.call("n2", "echo", echo={"a": [1, None]})
    assert (answer["type"], answer["echo"]) == ("echo_ok", {"a": [1, None]})
    assert net.call("n2", "topology", topology={"n1": ["n2"]})["type"] == "topology_ok"


def test_broadcast_reaches_all_and_is_read_as_messages() -> None:
    net = Network(5)
    for name in net.names:
        net.call(name, "topology", topology={})
    for value in range(20):
        name = net.names[value % 5]
        assert set(net.call(name, "broadcast", message=value)) == {"type", "msg_id", "in_reply_to"}
    net.until(
        lambda: all(sorted(net.call(n, "read")["messages"]) == [*range(20)] for n in net.names)
    )
    assert len(net.digests()) == 1


def test_an_element_may_be_anything_and_is_there_once() -> None:
    net = Network(2)
    odd = [None, True, 1.5, 2**80, "é\n", {"b": 1, "a": [2]}, []]
    for element in odd:
        net.call("n1", "add", element=element)
        net.call("n2", "add", element=element)
    net.call("n2", "add", element={"a": [2], "b": 1})
    net.until(lambda: len(net.digests()) == 1)
    for name in net.names:
        read = net.call(name, "read")["value"]
        assert len(read) == len(odd)
        assert all(element in read for element in odd)


@pytest.mark.parametrize("workload", ["", "pn-counter"])
def test_a_counter_is_the_sum_of_all_adds_also_concurrent_first_ones(workload: str) -> None:
    net = Network(4, workload=workload)
    for turn in range(10):
        for place, name in enumerate(net.names):
            net.ask(name, "add", delta=turn - place)
    total = sum(turn - place for turn in range(10) for place in range(4))
    net.until(lambda: all(net.call(n, "read")["value"] == total for n in net.names))
    assert len(net.digests()) == 1


def test_a_counter_holds_a_version_for_each_process_however_many_adds() -> None:
    net = Network(3)
    for turn in range(90):
        net.call(net.names[turn % 3], "add", delta=1)
    net.until(lambda: all(net.call(n, "read")["value"] == 90 for n in net.names))
    node = net.machines["n1"]._node
    assert node is not None
    record = node.core.replica.read(b"dcounter/total")
    assert record is not None
    assert len(record.fields["+value"]) == 3


def test_ids_are_dots_and_differ_also_over_a_restart_under_one_name() -> None:
    net = Network(2)
    ids = [net.call(net.names[turn % 2], "generate")["id"] for turn in range(10)]
    net.start("n1")
    ids += [net.call("n1", "generate")["id"] for _ in range(5)]
    assert len(set(ids)) == 15
    assert parse_dot(ids[0]).seq == 1


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        ("fly", {}, Code.NOT_SUPPORTED),
        ("broadcast", {}, Code.MALFORMED_REQUEST),
        ("echo", {}, Code.MALFORMED_REQUEST),
        ("add", {}, Code.MALFORMED_REQUEST),
        ("add", {"delta": "1"}, Code.MALFORMED_REQUEST),
        ("add", {"delta": True}, Code.MALFORMED_REQUEST),
        ("add", {"delta": 2**60}, Code.MALFORMED_REQUEST),
        ("topology", {"topology": 1}, Code.MALFORMED_REQUEST),
        ("read", {}, Code.TEMPORARILY_UNAVAILABLE),
        ("init", {"node_id": "n1", "node_ids": ["n1"]}, Code.PRECONDITION_FAILED),
    ],
)
def test_a_request_that_cannot_be_served_is_answered_with_the_code(
    kind: str, fields: dict[str, object], code: Code
) -> None:
    answer = Network(1).call("n1", kind, **fields)
    assert (answer["type"], answer["code"]) == ("error", code)
    assert code.definite


def test_a_growing_counter_takes_nothing_negative() -> None:
    net = Network(1, workload="g-counter")
    assert net.call("n1", "add", delta=-1)["code"] == Code.MALFORMED_REQUEST
    assert net.call("n1", "read")["value"] == 0


def test_a_counter_refuses_to_lose_digits() -> None:
    net = Network(1)
    assert net.call("n1", "add", delta=2**53 - 2)["type"] == "add_ok"
    assert net.call("n1", "add", delta=5)["code"] == Code.PRECONDITION_FAILED
    assert net.call("n1", "read")["value"] == 2**53 - 2


def test_an_add_alone_is_acknowledged_and_an_early_read_of_a_named_workload_is_empty() -> None:
    net = Network(3, workload="g-set")
    net.cut = lambda _a, _b: True
    assert net.call("n1", "read")["value"] == []
    assert net.call("n1", "add", element=1)["type"] == "add_ok"
    assert net.call("n1", "read")["value"] == [1]
    assert net.call("n2", "read")["value"] == []
    net.cut = lambda _a, _b: False
    net.until(lambda: all(net.call(n, "read")["value"] == [1] for n in net.names))


def test_with_a_quorum_a_majority_acknowledges_and_a_minority_times_out_indefinitely() -> None:
    net = Network(3, workload="g-set", wanted_w=0, quorum_ms=500)
    assert net.call("n1", "add", element=0)["type"] == "add_ok"
    net.cut = lambda a, b: (a == "n3") != (b == "n3")
    assert net.call("n2", "add", element=1)["type"] == "add_ok"
    late = net.call("n3", "add", element=2)
    assert (late["type"], late["code"]) == ("error", Code.TIMEOUT)
    assert not Code.TIMEOUT.definite
    net.cut = lambda _a, _b: False
    net.until(lambda: all(sorted(net.call(n, "read")["value"]) == [0, 1, 2] for n in net.names))


def test_an_acknowledged_add_with_w_2_is_on_two_nodes_at_that_moment() -> None:
    net = Network(3, seed=7, workload="g-set", wanted_w=2, delay_ms=60, loss=0.1)
    for value in range(25):
        name = net.names[value % 3]
        assert net.call(name, "add", element=value)["type"] == "add_ok"
        holders = [n for n in net.names if value in net.call(n, "read")["value"]]
        assert len(holders) >= 2


def test_more_are_to_keep_it_than_there_are_nodes() -> None:
    net = Network(2, wanted_w=3)
    assert net.answers[1]["code"] == Code.PRECONDITION_FAILED
    assert net.call("n1", "add", element=1)["code"] == Code.TEMPORARILY_UNAVAILABLE


def test_what_awaits_no_answer_gets_none_and_answers_to_us_are_passed_over() -> None:
    net = Network(1, workload="g-set")
    machine = net.machines["n1"]
    machine.receive(Message("c1", "n1", {"type": "add", "element": 1}), net.now_ms)
    machine.receive(Message("c1", "n1", {"type": "x", "in_reply_to": 4, "msg_id": 9}), net.now_ms)
    machine.settle(net.now_ms)
    assert machine.take() == []
    assert net.call("n1", "read")["value"] == [1]

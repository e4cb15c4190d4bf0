"""Where the knee of a ladder is, and what its pages say."""

from tests.benchmarks.ladder import Rung, knee, received


def rung(nodes: int, share: float) -> Rung:
    return Rung(nodes=nodes, all_cpu_us=nodes * share, per_second=1000.0 / nodes)


def test_there_is_no_knee_while_every_node_costs_the_same() -> None:
    assert knee([rung(2, 300), rung(5, 290), rung(10, 310)])["knee_nodes"] is None


def test_the_knee_is_the_first_rung_on_which_a_node_costs_half_more() -> None:
    told = knee([rung(2, 900), rung(5, 300), rung(10, 320), rung(25, 460), rung(50, 900)])

    assert told["knee_nodes"] == 25
    assert told["cpu_us_per_write_and_node"]["50"] == 900.0


def test_only_operations_that_came_in_are_counted() -> None:
    page = (
        'mnemesh_sync_ops_total{direction="in",peer="node-2"} 12.0\n'
        'mnemesh_sync_ops_total{peer="node-3",direction="out"} 5.0\n'
        'mnemesh_sync_ops_total{peer="node-3",direction="in"} 3.0\n'
    )

    assert received(page) == 15.0

"""What a client's configuration has to hold, and the file of the reference server."""

import json
import tomllib

import pytest

from node.mcp.clients import PROGRAMS, SERVER, Start, entry_of, text_of
from node.mcp.knowledge import Graph
from node.mcp.knowledge_file import GraphFile, read_graph_file, take_in
from node.mcp.knowledge_rows import Relation
from tests.unit.mcp.conftest import Served

START = Start(
    command="/opt/a b/mnemesh",
    args=["mcp"],
    env={"MNEMESH_DATA_DIR": '/data/"odd" \u00fc\\', "MNEMESH_AGENT_ID": "ai:x"},
)
ADA = '{"type":"entity","name":"Ada","entityType":"person","observations":["a","b"]}'
ENGINE = '{"type":"entity","name":"Engine","entityType":"machine","observations":[]}'
WORKS = '{"type":"relation","from":"Ada","to":"Engine","relationType":"works on"}'


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_printed_is_the_entry_in_the_language_of_the_client(name: str) -> None:
    program = PROGRAMS[name]
    text = text_of(program, START)
    read = tomllib.loads(text) if program.language == "toml" else json.loads(text)
    assert read == entry_of(program, START)
    server = read[program.under][SERVER]
    assert server["command"] == START.command
    assert server["env"] == START.env


def test_every_line_of_a_file_is_taken_or_named() -> None:
    held = read_graph_file(
        [
            ADA,
            "",
            "{not json",
            "[1]",
            '{"type":"entity","name":5,"entityType":"x","observations":[]}',
            '{"type":"entity","name":"x","entityType":"x","observations":"none"}',
            '{"type":"other"}',
            ENGINE,
            '{"type":"entity","name":"Ada","entityType":"person","observations":["b","c"]}',
            WORKS,
            '{"type":"relation","from":"Ada","to":"Nobody","relationType":"knows"}',
        ]
    )
    assert held.entities["Ada"].observations == ["a", "b", "c"]
    assert list(held.relations) == [Relation("Ada", "Engine", "works on")]
    assert [number for number, _ in held.skipped] == [3, 4, 5, 6, 7, 11]
    assert all(why for _, why in held.skipped)


async def test_a_file_is_taken_in_once_however_often(serve: Served) -> None:
    made = await serve()
    graph = Graph(made.api())
    await graph.create_entities([read_graph_file([ENGINE]).entities["Engine"]])
    steps: list[int] = []

    def held() -> GraphFile:
        return read_graph_file([ADA, ENGINE, WORKS])

    first = await take_in(graph, held(), steps.append)
    assert (first.entities, first.observations, first.relations) == (1, 2, 1)
    assert sum(steps) == 3
    again = await take_in(graph, held(), steps.append)
    assert (again.entities, again.observations, again.relations) == (0, 0, 0)
    shown = (await graph.read()).shown()
    assert {one["name"] for one in shown["entities"]} == {"Ada", "Engine"}
    assert len(shown["relations"]) == 1

"""Every method of both clients, on a real mesh, with its effect seen through another node."""

import asyncio
import inspect
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from node.client import AsyncClient, Client, ClientError, Event, NotFound
from node.client.values import (
    BulkResult,
    Compared,
    ImportResult,
    Link,
    Memory,
    Message,
    Recalled,
    Stored,
    Written,
)
from tests.integration.rig import RealNode
from tests.integration.rig_document_methods import DOCUMENT_CASES
from tests.integration.rig_types import mismatches

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ME, FRIEND = "ai:every", "ai:friend"


def options(node: RealNode, agent: str) -> dict[str, Any]:
    flags = dict(itertools.pairwise(node.flags))
    return {
        "agent_id": agent,
        "fingerprint": node.fingerprint,
        "client_cert": flags["--tls-cert"],
        "client_key": flags["--tls-key"],
    }


def of(value: Any, kind: Any) -> Any:
    """The value, which is of that type in every field."""
    assert mismatches(value, kind) == []
    return value


class Stand:
    """One client at the first node, blocking or not, and eyes at the others."""

    def __init__(self, nodes: list[RealNode], kind: type) -> None:
        self.nodes = nodes
        self.kind = kind
        self._runner = asyncio.Runner()
        self._eyes: list[Client] = []
        self.client = self.made()

    def made(self, node: int = 0, agent: str = ME) -> Any:
        return self.kind(self.nodes[node].url, **options(self.nodes[node], agent))

    def do(self, name: str, *args: Any, on: Any = None, **fields: Any) -> Any:
        """Call a method; what it yields comes as a list."""
        result = getattr(on or self.client, name)(*args, **fields)
        if inspect.isasyncgen(result):
            return self._runner.run(_all(result))
        if inspect.iscoroutine(result):
            return self._runner.run(result)
        return list(result) if inspect.isgenerator(result) else result

    def first(self, name: str, count: int, **fields: Any) -> list[Any]:
        """The first that an endless method yields."""
        result = getattr(self.client, name)(**fields)
        if inspect.isasyncgen(result):
            return self._runner.run(_some(result, count))
        with_end = list(itertools.islice(result, count))
        result.close()
        return with_end

    def stored(self, title: str = "title", content: str = "text", **fields: Any) -> str:
        return str(self.do("store", title, content, **fields)["id"])

    def eye(self, agent: str = ME) -> Client:
        """A client of another node that has to see what this one has seen."""
        node = self.nodes[1 + len(self._eyes) % 2]
        eye = Client(node.url, **options(node, agent))
        eye.adopt(self.client.token)
        self._eyes.append(eye)
        return eye

    def end(self) -> None:
        for eye in self._eyes:
            eye.close()
        self.do("close" if self.kind is Client else "aclose")
        self._runner.close()


async def _all(source: Any) -> list[Any]:
    return [each async for each in source]


async def _some(source: Any, count: int) -> list[Any]:
    out = []
    async for each in source:
        out.append(each)
        if len(out) == count:
            break
    await source.aclose()
    return out


# --- one case for each method -----------------------------------------------------------


def store(s: Stand) -> None:
    fields = {"tags": ["a", "b"], "namespace": "every/store", "priority": 7, "tier": "long"}
    made = of(s.do("store", "Tea", "In the tin.", metadata={"x": [1]}, **fields), Stored)
    assert made["durability"]["acks"] >= made["durability"]["needed"] == 2
    seen = of(s.eye().get(made["id"]), Memory)
    assert {name: seen[name] for name in fields} == fields
    assert seen["metadata"] == {"x": [1], "agent_id": ME}


def get(s: Stand) -> None:
    ident = s.stored("mine")
    s.do("link", ident, s.stored("other"))
    here, there = of(s.do("get", ident), Memory), of(s.eye().get(ident), Memory)
    here.pop("access_count")
    there.pop("access_count")
    here.pop("last_accessed_at", None)
    there.pop("last_accessed_at", None)
    assert here == there
    assert len(here["links"]) == 1
    with pytest.raises(NotFound):
        s.do("get", "no-such-memory")


def update(s: Stand) -> None:
    ident = s.stored("before")
    version = s.do("get", ident)["etag"]
    told = of(s.do("update", ident, title="after", if_match=version), Written)
    assert told["id"] == ident
    assert s.eye().get(ident)["title"] == "after"


def delete(s: Stand) -> None:
    ident = s.stored()
    s.eye().get(ident)
    assert of(s.do("delete", ident), Written)["deleted"] is True
    with pytest.raises(NotFound):
        s.eye().get(ident)


def list_(s: Stand) -> None:
    space = f"every/list/{s.kind.__name__}"
    idents = [s.stored(f"t{n}", namespace=space, tags=["odd"] * (n % 2)) for n in range(5)]
    assert [m["id"] for m in of(s.do("list", namespace=space), list[Memory])] == idents[::-1]
    assert [m["id"] for m in s.do("list", namespace=space, limit=2, offset=1)] == idents[3:1:-1]
    assert [m["id"] for m in s.eye().list(namespace=space, tags=["odd"])] == [idents[3], idents[1]]


def iterate(s: Stand) -> None:
    space = f"every/iterate/{s.kind.__name__}"
    idents = s.do(
        "store_many", [{"title": str(n), "content": "c", "namespace": space} for n in range(45)]
    )["ids"]
    found = of(s.do("iterate", page=10, namespace=space), list[Memory])
    assert sorted(m["id"] for m in found) == sorted(idents)
    assert sorted(m["id"] for m in s.eye().iterate(page=7, namespace=space)) == sorted(idents)


def recall(s: Stand) -> None:
    ident = s.stored("Harbour", f"The ferry to Olhao leaves at nine, said {s.kind.__name__}.")
    asked = {"limit": 3, "min_score": 0.0}
    here = of(s.do("recall", f"ferry to Olhao {s.kind.__name__}", **asked), Recalled)
    assert here["memories"][0]["id"] == ident
    assert here["memories"][0]["score"] > 0
    assert here["count"] == len(here["memories"]) <= 3
    there = of(s.eye().recall(f"ferry to Olhao {s.kind.__name__}", **asked), Recalled)
    assert there["memories"][0]["id"] == ident


def search(s: Stand) -> None:
    word = f"zygomorph{s.kind.__name__}"
    ident = s.stored("Flowers", f"Some are {word}.")
    assert [m["id"] for m in of(s.do("search", word), list[Memory])] == [ident]
    assert [m["id"] for m in s.eye().search(f"some {word}", limit=5)] == [ident]


def promote(s: Stand) -> None:
    ident = s.stored(tier="short")
    of(s.do("promote", ident), Written)
    assert s.eye().get(ident)["tier"] == "long"
    s.do("promote", ident, to_namespace="every/up")
    assert s.eye().get(ident)["namespace"] == "every/up"


def grant(s: Stand) -> None:
    ident = s.stored("secret", scope="private")
    friend = s.made(agent=FRIEND)
    with pytest.raises(NotFound):
        s.do("get", ident, on=friend)
    of(s.do("grant", ident, FRIEND), Written)
    assert s.do("get", ident, on=friend)["title"] == "secret"
    s.do("close" if s.kind is Client else "aclose", on=friend)
    # Such a memory does not leave its node: the others do not have it, whoever asks.
    with pytest.raises(NotFound):
        s.eye(FRIEND).get(ident)


def revoke(s: Stand) -> None:
    ident = s.stored("secret", scope="private")
    friend = s.made(agent=FRIEND)
    s.do("grant", ident, FRIEND)
    s.do("get", ident, on=friend)
    of(s.do("revoke", ident, FRIEND), Written)
    with pytest.raises(NotFound):
        s.do("get", ident, on=friend)
    s.do("close" if s.kind is Client else "aclose", on=friend)
    with pytest.raises(NotFound):
        s.eye(FRIEND).get(ident)


def store_many(s: Stand) -> None:
    items = [{"title": f"t{n}", "content": "c"} for n in range(30)]
    items[7] = {"title": "", "content": "c"}
    told = of(s.do("store_many", items), BulkResult)
    assert told["created"] == len(told["ids"]) == 29
    assert [error["index"] for error in told["errors"]] == [7]
    eye = s.eye()
    assert [eye.get(ident)["title"] for ident in told["ids"][:8:7]] == ["t0", "t8"]


def take_in(s: Stand) -> None:
    ids = [f"import-{s.kind.__name__}-{n}" for n in range(3)]
    records = [{"id": ident, "title": ident, "content": "c"} for ident in ids]
    links = [{"source_id": ids[0], "target_id": ids[1], "relation": "supersedes"}]
    told = of(s.do("take_in", records, links), ImportResult)
    assert told == {"imported": 3, "skipped": 0, "errors": []}
    eye = s.eye()
    assert [eye.get(ident)["title"] for ident in ids] == ids
    assert [link["relation"] for link in eye.links(ids[0])] == ["supersedes"]


def export(s: Stand) -> None:
    ids = [s.stored("exported"), s.stored("too")]
    s.do("link", *ids)
    for records in (s.do("export"), list(s.eye().export())):
        memories = [record for kind, record in records if kind == "memory"]
        between = [record for kind, record in records if kind == "link"]
        assert {*ids} <= {memory["id"] for memory in memories}
        assert ids in [[link["source_id"], link["target_id"]] for link in between]
        of(memories, list[Memory])
        of(between, list[Link])


def events(s: Stand) -> None:
    over = threading.Event()
    eye = s.eye()

    def write() -> None:
        while not over.is_set():
            with suppress(ClientError):
                eye.store("news", "text")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        one, two = s.first("events", 2)
        assert type(one) is type(two) is Event
        (again,) = s.first("events", 1, cursor=one.cursor)
    finally:
        over.set()
        writer.join(30)
    assert again == two
    assert isinstance(one.data, dict)
    assert one.name.startswith("memory")
    assert one.cursor


def link(s: Stand) -> None:
    one, two = s.stored("one"), s.stored("two")
    made = of(s.do("link", one, two, "contradicts", valid_from="2024-01-01T00:00:00Z"), Link)
    (seen,) = s.eye().links(two)
    assert (seen["source_id"], seen["target_id"], seen["relation"]) == (one, two, "contradicts")
    assert made["valid_from"] == seen["valid_from"] == "2024-01-01T00:00:00.000Z"


def unlink(s: Stand) -> None:
    one, two = s.stored("one"), s.stored("two")
    s.do("link", one, two)
    of(s.do("unlink", one, two), Written)
    assert s.eye().links(one) == []


def links(s: Stand) -> None:
    one, two = s.stored("one"), s.stored("two")
    s.do("link", one, two)
    assert of(s.do("links", one), list[Link]) == s.eye().links(two)


def forget(s: Stand) -> None:
    ids = [s.stored("a"), s.stored("b")]
    assert of(s.do("forget", ids=ids), Written)["deleted"] == 2
    for ident in ids:
        with pytest.raises(NotFound):
            s.eye().get(ident)


def archive(s: Stand) -> None:
    ids = [s.stored("a"), s.stored("b")]
    assert of(s.do("archive", ids, reason="old"), Written)["archived"] == 2
    with pytest.raises(NotFound):
        s.eye().get(ids[0])
    kept = {m["id"]: m["archive_reason"] for m in s.eye().request("GET", "/archive")["memories"]}
    assert {kept[ident] for ident in ids} == {"old"}


def restore(s: Stand) -> None:
    ident = s.stored("back")
    s.do("archive", [ident])
    assert of(s.do("restore", ident), Written)["restored"] is True
    assert s.eye().get(ident)["title"] == "back"


def consolidate(s: Stand) -> None:
    ids = [s.stored("a"), s.stored("b")]
    told = of(s.do("consolidate", ids=ids, title="both", summary="a and b"), Written)
    assert told["consolidated"] == 2
    eye = s.eye()
    assert eye.get(told["id"])["content"] == "a and b"
    assert {link["relation"] for link in eye.links(told["id"])} == {"derived_from"}
    with pytest.raises(NotFound):
        eye.get(ids[0])


def check_duplicate(s: Stand) -> None:
    text = f"The lighthouse of {s.kind.__name__} was built in 1851 by two brothers."
    ident = s.stored("Lighthouse", text, namespace="every/twice")
    asked = {"title": "Lighthouse", "namespace": "every/twice", "threshold": 0.9, "limit": 2}
    told = of(s.do("check_duplicate", text, **asked), Compared)
    assert told["is_duplicate"] is True
    assert told["matches"][0]["id"] == ident
    assert s.eye().check_duplicate(text, **asked)["matches"][0]["id"] == ident


def notify(s: Stand) -> None:
    title = f"hello from {s.kind.__name__}"
    told = s.do("notify", FRIEND, title, "text", priority=8)
    assert told["durability"]["acks"] >= 2
    (got,) = [m for m in s.eye(FRIEND).inbox() if m["title"] == title]
    assert (got["from"], got["to"], got["priority"], got["read"]) == (ME, FRIEND, 8, False)
    assert s.eye().inbox(unread_only=True) == [], "only the addressee's"


def inbox(s: Stand) -> None:
    friend = s.made(agent=FRIEND)
    s.do("notify", FRIEND, f"for the inbox of {s.kind.__name__}", "text")
    here = of(s.do("inbox", limit=1, unread_only=True, on=friend), list[Message])
    assert here[0]["title"] == f"for the inbox of {s.kind.__name__}"
    assert s.eye(FRIEND).inbox(limit=1)[0]["id"] == here[0]["id"]
    s.do("close" if s.kind is Client else "aclose", on=friend)


def stats(s: Stand) -> None:
    space = f"every/stats/{s.kind.__name__}"
    s.stored(namespace=space)
    for told in (s.do("stats"), s.eye().stats()):
        assert {"namespace": space, "count": 1} in told["by_namespace"]
        assert told["total"] == sum(row["count"] for row in told["by_tier"])


def capabilities(s: Stand) -> None:
    assert s.do("capabilities")["schema_version"] == "2"
    assert s.eye().capabilities()["features"] == s.do("capabilities")["features"]


def request(s: Stand) -> None:
    made = s.do("request", "POST", "/memories", body={"title": "raw", "content": "c"})
    path = f"/memories/{made['id']}/history"
    (operation,) = s.eye().request("GET", path)["history"]
    assert operation["dot"] == made["durability"]["dot"]
    found = s.do("request", "GET", "/memories", params={"limit": 1, "tags": None})
    assert found["count"] == 1


def token(s: Stand) -> None:
    fresh = s.made()
    assert fresh.token == "-"  # noqa: S105 - an empty one
    s.do("store", "t", "c", on=fresh)
    assert len(fresh.token) > 10
    s.do("close" if s.kind is Client else "aclose", on=fresh)


def adopt(s: Stand) -> None:
    writer = Client(s.nodes[2].url, **options(s.nodes[2], ME))
    for n in range(10):
        ident = writer.store(f"t{n}", "c")["id"]
        s.client.adopt(writer.token)
        assert s.do("get", ident)["title"] == f"t{n}"
    writer.close()


def url(s: Stand) -> None:
    assert s.client.url == s.nodes[0].url
    assert s.nodes[0].url in repr(s.client)


def local(s: Stand) -> None:
    near = s.kind.local(s.nodes[0].data_dir, agent_id="ai:near")  # type: ignore[attr-defined]  # both have it
    ident = s.do("store", "near", "c", on=near)["id"]
    s.client.adopt(near.token)
    assert s.eye().get(ident)["metadata"]["agent_id"] == "ai:near"
    s.do("close" if s.kind is Client else "aclose", on=near)


def close(s: Stand) -> None:
    mine = s.made()
    s.do("store", "t", "c", on=mine)
    for _ in range(2):
        s.do("close" if s.kind is Client else "aclose", on=mine)
    with pytest.raises(Exception, match="closed"):
        s.do("get", "x", on=mine)


CASES: dict[str, Callable[[Stand], None]] = {
    **{case.__name__: case for case in (
        adopt, archive, capabilities, check_duplicate, close, consolidate, delete, events, export,
        forget, get, grant, inbox, iterate, link, links, local, notify, promote, recall, request,
        restore, revoke, search, stats, store, store_many, take_in, token, unlink, update, url,
    )},
    "list": list_,
    **DOCUMENT_CASES,
}  # fmt: skip


def public(kind: type) -> set[str]:
    return {"close" if name == "aclose" else name for name in dir(kind) if name[0] != "_"}


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_every_public_name_has_a_case(kind: type) -> None:
    # Many stores at once, for code that awaits alone, have tests of their own: test_client_ingest.
    assert public(kind) - {"ingest"} == CASES.keys()


@pytest.fixture(params=[Client, AsyncClient], ids=["blocking", "awaiting"])
def stand(request: pytest.FixtureRequest, shared_mesh: list[RealNode]) -> Iterator[Stand]:
    made = Stand(shared_mesh, request.param)
    yield made
    made.end()


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_effect_of_a_method_is_seen_through_another_node(stand: Stand, name: str) -> None:
    CASES[name](stand)

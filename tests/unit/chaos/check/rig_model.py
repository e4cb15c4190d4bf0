"""A model of a mesh, small enough to be right by inspection, that writes clean histories.

Law: nodes are sets of operations that grow by taking all of another node's; what a node shows
follows from its set. A request is applied where it is asked, or not, and is answered truthfully,
or not at all. In the end all nodes have all operations. Nothing here is shared with the checkers.
"""

import hashlib
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from tests.unit.chaos.check import rig_document

Row = dict[str, Any]
NODES = ("n1", "n2", "n3")
SPACE = "chaos/c000001"
LEVELS = ("any", "approve", "deny")
WORKLOADS = (
    "set",
    "register",
    "counter",
    "delete",
    "governance",
    "causal",
    "session",
    "idempotence",
    "document",
)


def hash_of(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def final_record(value: Mapping[str, Any]) -> Row:
    return {"hash": hash_of(value), "value": dict(value), "present": True}


class Model:
    """Nodes, operations and the history of one cycle.

    Attributes:
        ops: all that were applied anywhere; a node holds their numbers.
    """

    def __init__(self, workload: str, seed: int, steps: int) -> None:
        self.rng = random.Random(seed)
        self.rows: list[Row] = []
        self.ops: list[Row] = []
        self.held: dict[str, set[int]] = {node: set() for node in NODES}
        self.serial = 0
        self.asked = 0
        self.sessions: dict[str, tuple[set[int], dict[str, str]]] = {}
        self.known: list[str] = []
        self.say(kind="cycle", cycle=1, workload=workload, seed=seed, **{"class": "F01"})
        self.say(kind="fault", cycle=1, phase="proof", what="cut", ok=True, detail={})
        step: Callable[[str, str], None] = getattr(self, workload)
        for _ in range(steps):
            if self.rng.random() < 0.4:
                one, other = self.rng.sample(NODES, 2)
                self.held[one] |= self.held[other]
            step(f"c{self.rng.randint(1, 3)}", self.rng.choice(NODES))
        self.final()

    # --- rows ---------------------------------------------------------------------------

    def say(self, **row: Any) -> Row:
        self.rows.append({"at": float(len(self.rows)), **row})
        return self.rows[-1]

    def fresh(self) -> str:
        self.serial += 1
        return f"v{self.serial:05d}"

    def ask(self, process: str, node: str, f: str, **args: Any) -> int:
        self.asked += 1
        self.say(kind="invoke", op=self.asked, cycle=1, process=process, node=node, f=f, **args)
        return self.asked

    def answer(self, op: int, kind: str, status: int, **values: Any) -> None:
        self.say(kind=kind, op=op, status=status, **values)

    def write(
        self, process: str, node: str, f: str, made: list[Row], args: Row, values: Row | None = None
    ) -> bool:
        """Ask for operations, apply them or not, answer or not; whether it was acknowledged."""
        op = self.ask(process, node, f, **args)
        draw = self.rng.random()
        if draw < 0.1:
            if self.rng.random() < 0.5:
                self.answer(op, "info", 503)
            return False
        dot = self.apply(node, made)
        if draw < 0.2:
            if self.rng.random() < 0.5:
                self.answer(op, "info", 503)
            return False
        self.answer(op, "ok", 201, dot=dot, **(values or {}))
        return True

    def refuse(self, process: str, node: str, f: str, status: int, args: Row) -> None:
        self.answer(self.ask(process, node, f, **args), "fail", status)

    def apply(self, node: str, made: list[Row]) -> str:
        for one in made:
            seq = 1 + sum(op["node"] == node for op in self.ops)
            self.held[node].add(len(self.ops))
            self.ops.append({**one, "node": node, "seq": seq})
        return f"a-{node}:{self.ops[-1]['seq']}"

    # --- what a node shows -----------------------------------------------------------------

    def of(self, node: str, kind: str) -> list[tuple[int, Row]]:
        return [(n, self.ops[n]) for n in sorted(self.held[node]) if self.ops[n]["op"] == kind]

    def births(self, node: str) -> dict[str, set[int]]:
        dead = {n for _, op in self.of(node, "delete") for n in op["births"]}
        out: dict[str, set[int]] = {}
        for n, op in self.of(node, "create"):
            if n not in dead:
                out.setdefault(op["id"], set()).add(n)
        return out

    def records(self, node: str) -> dict[str, Row]:
        births = self.births(node)
        hidden = {n for _, op in self.of(node, "edit") for n in op["hides"]}
        out: dict[str, Row] = {}
        for id_, alive in births.items():
            create = self.ops[max(alive)]
            lives = [n for n in alive if n not in hidden] + [
                n
                for n, op in self.of(node, "edit")
                if op["id"] == id_ and op["births"] & alive and n not in hidden
            ]
            values = [self.ops[n]["value"] for n in sorted(lives)]
            out[id_] = {"id": id_, **create["fields"], "content": values[-1]}
            if len(values) > 1:
                out[id_] |= {"conflicts": len(values) - 1, "siblings": values[:-1]}
        return out

    def living(self, node: str, id_: str) -> set[int]:
        hidden = {n for _, op in self.of(node, "edit") for n in op["hides"]}
        alive = self.births(node).get(id_, set())
        edits = {n for n, op in self.of(node, "edit") if op["id"] == id_ and op["births"] & alive}
        return (alive | edits) - hidden

    def create(self, id_: str, value: str, **fields: Any) -> Row:
        return {
            "op": "create",
            "id": id_,
            "value": value,
            "fields": {"title": f"t {id_}", "content": value, "metadata": {}, **fields},
        }

    def edit(self, node: str, id_: str, value: str) -> Row:
        births = self.births(node)[id_]
        hides = self.living(node, id_)
        return {"op": "edit", "id": id_, "value": value, "births": births, "hides": hides}

    def standards(self, node: str) -> dict[str, list[Row]]:
        hidden = {n for _, op in self.of(node, "policy") for n in op["hides"]}
        out: dict[str, list[Row]] = {}
        for n, op in self.of(node, "policy"):
            if n not in hidden:
                dot = f"a-{op['node']}:{op['seq']}"
                one = {"governance": {"write": op["level"]}, "dot": dot}
                out.setdefault(op["space"], []).append(one)
        return out

    def final(self) -> None:
        everything = set(range(len(self.ops)))
        for node in NODES:
            self.held[node] |= everything
            records = {
                id_: final_record(rig_document.document(self, node, id_) or {})
                if held.get("memory_kind") == "document"
                else final_record(held)
                for id_, held in self.records(node).items()
            }
            for _, op in self.of(node, "link"):
                link = {"source_id": op["id"], "relation": op["unit"], "target_id": "x"}
                records[f"link:{op['id']}:{op['unit']}:x"] = final_record(link)
            for _, op in self.of(node, "tag"):
                held = records[op["id"]]["value"]
                held["tags"] = sorted({*held.get("tags", ()), op["unit"]})
                records[op["id"]] = final_record(held)
            standards = self.standards(node)
            self.say(
                kind="final",
                cycle=1,
                node=node,
                scope="cycle",
                clock={f"a-{o}": sum(op["node"] == o for op in self.ops) for o in NODES},
                digest=hash_of(sorted(records)),
                policies={space: hash_of(held) for space, held in standards.items()},
                standards=standards,
                records=records,
            )

    # --- workloads -----------------------------------------------------------------------

    def set(self, process: str, node: str) -> None:
        draw, id_ = self.rng.random(), f"s-{self.fresh()}"
        fields = {"title": f"t {id_}", "content": self.fresh(), "tags": ["a"]}
        if draw < 0.1:
            self.refuse(process, node, "add", 409, {"fields": fields})
        elif draw < 0.3 and self.records(node):
            id_, held = self.rng.choice(sorted(self.records(node).items()))
            op = self.ask(process, node, "read", id=id_)
            self.answer(op, "ok", 200, found=True, content=held["content"])
        elif draw < 0.4:
            many = [fields, {**fields, "content": self.fresh()}]
            made = [self.create(f"{id_}{n}", one["content"], **one) for n, one in enumerate(many)]
            self.write(process, node, "add", made, {"many": many})
        else:
            made = [self.create(id_, fields["content"], **fields)]
            self.write(process, node, "add", made, {"fields": fields}, {"id": id_})

    def register(self, process: str, node: str) -> None:
        if len(self.known) < 3:
            value = self.fresh()
            args = {"register": f"r-{value}", "value": value}
            if self.write(process, node, "create", [self.create(f"r-{value}", value)], args):
                self.known.append(f"r-{value}")
            return
        id_ = self.rng.choice(self.known)
        held = self.records(node).get(id_)
        op = self.ask(process, node, "read", register=id_)
        if held is None:
            self.answer(op, "ok", 404, found=False)
            return
        self.answer(op, "ok", 200, found=True, content=held["content"])
        value, saw = self.fresh(), [held["content"], *held.get("siblings", ())]
        args = {"register": id_, "value": value, "saw": saw if len(saw) > 1 else saw[0]}
        if self.rng.random() < 0.1:
            self.refuse(process, node, "write", 412, args)
        else:
            self.write(process, node, "write", [self.edit(node, id_, value)], args)

    def session(self, process: str, node: str) -> None:
        token, values = self.sessions.setdefault(process, (set(), {}))
        if not self.known or self.rng.random() < 0.05:
            value = self.fresh()
            id_, args = f"r-{value}", {"register": f"r-{value}", "value": value}
            if self.write(process, node, "create", [self.create(id_, value)], args):
                self.known.append(id_)
                token.add(len(self.ops) - 1)
                values[id_] = value
            return
        id_ = self.rng.choice(self.known)
        after = [values[id_]] if id_ in values else []
        op = self.ask(process, node, "read", register=id_, after=after)
        if not token <= self.held[node]:
            self.answer(op, "fail", 412)
            return
        held = self.records(node).get(id_)
        if held is None:
            self.answer(op, "ok", 404, found=False)
            return
        self.answer(op, "ok", 200, found=True, content=held["content"])
        token |= self.held[node]
        values[id_] = held["content"]
        value, saw = self.fresh(), [held["content"], *held.get("siblings", ())]
        made = [self.edit(node, id_, value)]
        args = {"register": id_, "value": value, "saw": saw}
        if self.rng.random() < 0.6 and self.write(process, node, "write", made, args):
            token.add(len(self.ops) - 1)
            values[id_] = value

    def counter(self, process: str, node: str) -> None:
        if len(self.known) < 2:
            id_ = f"n-{self.fresh()}"
            made = [self.create(id_, "counts", metadata={"counter": True})]
            if self.write(process, node, "create", made, {"counter": id_}):
                self.known.append(id_)
            return
        id_, unit = self.rng.choice(self.known), f"u_{self.fresh()}"
        way, args = self.rng.choice(("link", "tag")), {"counter": id_, "unit": unit}
        if self.rng.random() < 0.1:
            self.refuse(process, node, "increment", 404, args)
        else:
            self.write(process, node, "increment", [{"op": way, "id": id_, "unit": unit}], args)
        units = [op["unit"] for _, op in self.of(node, "link") if op["id"] == id_]
        self.answer(self.ask(process, node, "read", counter=id_), "ok", 200, units=units)

    def delete(self, process: str, node: str) -> None:
        records = self.records(node)
        draw, value = self.rng.random(), self.fresh()
        if draw < 0.4 or not records:
            gone = sorted(set(self.known) - records.keys())
            id_ = self.rng.choice(gone) if gone and draw < 0.1 else f"d-{value}"
            args = {"id": id_, "birth": value, "value": value}
            made = [self.create(id_, value, metadata={"birth": value})]
            if self.write(process, node, "create", made, args):
                self.known.append(id_)
            return
        id_ = self.rng.choice(sorted(records))
        if draw < 0.7:
            made = [self.edit(node, id_, value)]
            self.write(process, node, "edit", made, {"id": id_, "value": value})
            return
        birth = records[id_]["metadata"]["birth"]
        saw = birth if self.rng.random() < 0.5 else None
        made = [{"op": "delete", "id": id_, "births": self.births(node)[id_]}]
        if self.write(process, node, "delete", made, {"id": id_, "saw": saw}) and saw:
            other = self.rng.choice(NODES)
            op = self.ask(process, other, "read", id=id_, after=[saw])
            if len(self.ops) - 1 not in self.held[other]:
                self.answer(op, "fail", 412)
                return
            held = self.records(other).get(id_)
            shown = {"birth": held["metadata"]["birth"]} if held else {}
            self.answer(op, "ok", 200 if held else 404, found=held is not None, **shown)

    def governance(self, process: str, node: str) -> None:
        space = f"{SPACE}/{self.rng.choice(('a', 'b'))}"
        standing = self.standards(node).get(space, [])
        if self.rng.random() < 0.15:
            level = self.rng.choice(LEVELS)
            hides = {n for n, op in self.of(node, "policy") if op["space"] == space}
            args = {"space": space, "write": level, "saw": [one["dot"] for one in standing]}
            made = [{"op": "policy", "space": space, "level": level, "hides": hides}]
            self.write(process, node, "policy", made, args)
            return
        value = self.fresh()
        fields = {"title": "t", "content": value, "namespace": space}
        answer = max((LEVELS.index(one["governance"]["write"]) for one in standing), default=0)
        if answer == 2:
            self.refuse(process, node, "add", 403, {"fields": fields})
        elif answer == 1:
            op = self.ask(process, node, "add", fields=fields)
            self.answer(op, "ok", 202, pending=True)
        else:
            made = [self.create(f"g-{value}", value, **fields)]
            self.write(process, node, "add", made, {"fields": fields})

    def causal(self, process: str, node: str) -> None:
        records = self.records(node)
        draw, value = self.rng.random(), self.fresh()
        if draw < 0.6 or not records:
            cause = self.rng.choice(sorted(records)) if records and draw < 0.5 else None
            metadata = {} if cause is None else {"of": cause}
            fields = {"title": "t", "content": value, "metadata": metadata}
            made = [self.create(f"e-{value}", value, **fields)]
            made[0]["below"] = set(self.held[node])
            self.write(process, node, "add", made, {"fields": fields})
            return
        effect = self.rng.choice(sorted(records))
        below: set[int] = next(
            op["below"] for _, op in self.of(node, "create") if op["id"] == effect
        )
        cause = records[effect]["metadata"].get("of")
        if cause is None:
            return
        other = self.rng.choice(NODES)
        op = self.ask(process, other, "read", id=cause, after=[cause])
        if below <= self.held[other]:
            self.answer(op, "ok", 200, found=True)
        else:
            self.answer(op, "fail", 412)

    def document(self, process: str, node: str) -> None:
        rig_document.step(self, process, node)

    def idempotence(self, process: str, node: str) -> None:
        key, value = f"k-{self.fresh()}", self.fresh()
        fields = {"title": "t", "content": value, "tags": ["a"]}
        id_, took = f"i-{hash_of(key)[:12]}", []
        for _ in range(self.rng.randint(1, 4)):
            there = any(op["id"] == id_ for _, op in self.of(node, "create"))
            made = [] if there else [self.create(id_, value, **fields)]
            args = {"key": key, "fields": fields}
            if not made:
                first = next(op for _, op in self.of(node, "create") if op["id"] == id_)
                op = self.ask(process, node, "add", **args)
                dot = f"a-{first['node']}:{first['seq']}"
                self.answer(op, "ok", 201, id=id_, dot=dot)
                took.append(node)
            elif self.write(process, node, "add", made, args, {"id": id_}):
                took.append(node)
            node = self.rng.choice(NODES)
        if took and self.rng.random() < 0.5:
            other = {**fields, "content": self.fresh()}
            self.refuse(process, took[0], "add", 409, {"key": key, "fields": other})


def clean(workload: str, seed: int, steps: int = 60) -> list[Row]:
    """A history in which nothing is wrong."""
    return Model(workload, seed, steps).rows

"""Documents of the model: tokens in a tree, of which a node shows what it knows.

Law: an insertion names the token after which it comes; of several after one token the newest
comes first, and what was taken away keeps its place without being shown. Two tries of one edit
are one edit. Its heads name the set of operations that a node holds of a document.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.unit.chaos.check.rig_model import Model, Row

_EDITS_MAX = 30
_SEQUENCES = ("text", "list")


def step(model: "Model", process: str, node: str) -> None:
    """One turn of a client: create, or read and edit."""
    there = [id_ for id_ in model.known if len(_of(model, node, id_)) < _EDITS_MAX]
    if not there or (len(there) < 2 and model.rng.random() < 0.2):
        _create(model, process, node)
        return
    id_ = model.rng.choice(there)
    op = model.ask(process, node, "read", document=id_)
    held = document(model, node, id_)
    if held is None:
        model.answer(op, "ok", 404, found=False)
        return
    value = held["document"]["value"]
    keys = {"map": sorted(value["map"]), "heads": held["document"]["heads"]}
    model.answer(op, "ok", 200, found=True, **{**value, **keys})
    if model.rng.random() < 0.9:
        _edit(model, process, node, id_, value)


def _create(model: "Model", process: str, node: str) -> None:
    token = model.fresh()
    id_ = f"w-{token}"
    made = {**model.create(id_, f"[{token}]", memory_kind="document"), "token": token}
    args = {"document": id_, "token": token}
    if model.write(process, node, "create", [made], args):
        model.known.append(id_)


def _edit(model: "Model", process: str, node: str, id_: str, value: "Row") -> None:
    rng, token, other = model.rng, model.fresh(), model.fresh()
    texts, items = _tokens(value["text"]), value["list"]
    made: Row = {"op": "docedit", "id": id_, "puts": [], "gone": [], "by": 0}
    args: Row = {"document": id_, "key": f"k-{token}"}
    draw = rng.random()
    if draw < 0.5:
        made["puts"].append(("text", token, rng.choice([None, *texts])))
        args["text"] = token
    if 0.4 < draw < 0.65:
        made["puts"].append(("list", other, rng.choice([None, *items])))
        args["list"] = other
    if 0.65 < draw < 0.75:
        where = rng.choice(("map", "latest"))
        made["puts"].append((where, token, None))
        args[where] = token
    if 0.75 < draw < 0.88:
        args["by"] = made["by"] = rng.randint(1, 3)
    if draw > 0.88 and (texts or items):
        where = "text" if texts and (not items or rng.random() < 0.5) else "list"
        gone = rng.choice(texts if where == "text" else items)
        made["gone"].append((where, gone))
        args[f"{where}_gone"] = gone
    made |= {"key": args["key"], "sees": set(_of(model, node, id_))}
    _tries(model, process, node, made, args)


def _tries(model: "Model", process: str, node: str, made: "Row", args: "Row") -> None:
    """One edit, asked for once to three times, here and elsewhere."""
    for _ in range(model.rng.randint(1, 3)):
        if made["sees"] <= model.held[node]:
            first = [n for n, op in enumerate(model.ops) if op.get("key") == made["key"]]
            rank = first[0] if first else len(model.ops)
            model.write(process, node, "edit", [{**made, "rank": rank}], args)
        else:
            model.refuse(process, node, "edit", 409, args)
        node = model.rng.choice(list(model.held))


def _of(model: "Model", node: str, id_: str) -> dict[int, "Row"]:
    """The operations of a document that a node holds."""
    return {n: model.ops[n] for n in model.held[node] if model.ops[n]["id"] == id_}


def document(model: "Model", node: str, id_: str) -> "Row | None":
    """A document as a node shows it, with what the list of memories shows of it."""
    ops = _of(model, node, id_)
    birth = next((op for op in ops.values() if op["op"] == "create"), None)
    if birth is None:
        return None
    edits = {op["key"]: op for op in ops.values() if op["op"] == "docedit"}
    ordered = sorted(edits.values(), key=lambda op: op["rank"])
    gone = {each for op in ordered for each in op["gone"]}
    value: Row = {}
    for where in _SEQUENCES:
        after: dict[str | None, list[str]] = {None: [birth["token"]] if where == "text" else []}
        for op in ordered:
            for place, token, behind in op["puts"]:
                if place == where:
                    after.setdefault(behind, []).append(token)
        value[where] = [t for t in _walked(after, None) if (where, t) not in gone]
    puts = [(where, token) for op in ordered for where, token, _ in op["puts"]]
    latest = [token for where, token in puts if where == "latest"]
    text = "".join(f"[{token}]" for token in value["text"])
    value |= {
        "text": text,
        "map": {token: token for where, token in puts if where == "map"},
        "count": sum(op["by"] for op in ordered),
        "latest": latest[-1] if latest else None,
    }
    told = {"heads": sorted(edits) or ["seed"], "value": value, "set_aside": 0}
    return {**birth["fields"], "id": id_, "content": content_of(value), "document": told}


def content_of(value: "Row") -> str:
    """A document as it is shown to who knows of none: its text, then its other strings by key."""
    rest = [
        value["latest"] or "",
        *value["list"],
        *(value["map"][key] for key in sorted(value["map"])),
    ]
    return "\n".join(line for line in (value["text"], *rest) if line)


def _walked(after: dict[str | None, list[str]], at: str | None) -> list[str]:
    out: list[str] = []
    for token in reversed(after.get(at, [])):
        out += [token, *_walked(after, token)]
    return out


def _tokens(text: str) -> list[Any]:
    return text[1:-1].split("][") if text else []

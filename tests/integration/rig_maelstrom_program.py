"""A program that speaks the Maelstrom protocol and is wrong on demand; imports nothing of ours.

    python rig_maelstrom_program.py WORKLOAD [FAULT]

Nodes tell each other everything they know ten times a second. Faults: `forgets` keeps no fifth
add and says it did; `twice` gives the 20th id again and names an element twice; `invents`;
`alone` never tells anybody; `shy` answers no read; `chatty` prints what is no message; `dies`;
`extra` adds a field to its answers.
"""

import json
import os
import select
import sys
import time
from typing import Any

Body = dict[str, Any]


class Program:
    """One node."""

    def __init__(self, workload: str, fault: str) -> None:
        self.workload, self.fault = workload, fault
        self.me = ""
        self.all: list[str] = []
        self.adds: dict[str, Any] = {}
        self.count = 0

    def send(self, dest: str, body: Body) -> None:
        print(json.dumps({"src": self.me, "dest": dest, "body": body}), flush=True)

    def value(self) -> Any:
        said = list(self.adds.values())
        if self.fault == "twice" and len(said) > 3:
            said.append(said[0])
        if self.fault == "invents" and len(said) > 3:
            said.append(10**9)
        return sum(said) if "counter" in self.workload else said

    def keep(self, body: Body) -> None:
        if self.fault == "dies" and len(self.adds) > 5:
            sys.exit(3)
        if self.fault != "forgets" or self.count % 5:
            added = body.get("message", body.get("element", body.get("delta")))
            self.adds[f"{self.me}-{self.count}"] = added

    def answer(self, kind: str, body: Body) -> Body | None:
        self.count += 1
        if kind == "init":
            self.me, self.all = body["node_id"], body["node_ids"]
        elif kind in {"broadcast", "add"}:
            self.keep(body)
        elif kind == "read":
            name = "messages" if self.workload == "broadcast" else "value"
            return None if self.fault == "shy" else {name: self.value()}
        elif kind == "generate":
            again = self.fault == "twice" and self.count == 25
            return {"id": f"{self.me}-{19 if again else self.count}"}
        elif kind == "echo":
            return {"echo": "no" if self.fault == "invents" else body["echo"]}
        return {}

    def receive(self, message: Body) -> None:
        body = message["body"]
        kind = body["type"]
        if kind == "gossip":
            self.adds.update(body["adds"])
            return
        said = self.answer(kind, body)
        if said is None:
            return
        if self.fault == "chatty" and kind != "init":
            print("hello", flush=True)
        if self.fault == "extra" and kind == "read":
            said["more"] = 1
        said |= {"type": f"{kind}_ok", "in_reply_to": body["msg_id"]}
        self.send(message["src"], said)

    def gossip(self) -> None:
        for peer in self.all:
            if peer != self.me and self.fault != "alone":
                self.send(peer, {"type": "gossip", "adds": self.adds})


def main() -> None:
    program = Program(sys.argv[1], (sys.argv[2:] or [""])[0])
    rest, told = b"", time.monotonic()
    while True:
        if select.select([0], [], [], 0.05)[0]:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                program.receive(json.loads(line))
        if time.monotonic() - told > 0.1:
            told = time.monotonic()
            program.gossip()


if __name__ == "__main__":
    main()

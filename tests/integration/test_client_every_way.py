"""Clients in threads, in a fork, on uvloop, cancelled in the middle: nothing leaks, nothing mixes.

Law: each way runs in a process of its own in which every warning is an error, and that process
has to end without a word.
"""

import json
import subprocess
import sys

import pytest

from tests.integration.rig import RealNode, clean_environment
from tests.integration.test_client_every_method import options

pytestmark = [pytest.mark.integration, pytest.mark.slow]

COMMON = """
import asyncio, gc, json, os, sys, threading
from node.client import AsyncClient, Client, ClientError, NotFound
url, given = sys.argv[1], json.loads(sys.argv[2])

def sockets():
    gc.collect()
    names = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            pass
    return sum(name.startswith("socket:") for name in names)
"""

THREADS = """
before = sockets()
got, wrong = [], []
with Client(url, **given) as client:
    def work(number):
        try:
            for turn in range(12):
                title = f"{number}-{turn}"
                ident = client.store(title, "text")["id"]
                assert client.get(ident)["title"] == title
                got.append(ident)
        except BaseException as error:
            wrong.append(error)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
assert not wrong, wrong
assert len(set(got)) == 144
assert sockets() == before, (sockets(), before)
"""

FORK = """
client = Client(url, **given)
client.store("before", "text")
children = []
for number in range(3):
    child = os.fork()
    if not child:
        code = 1
        try:
            for turn in range(20):
                title = f"child {number} {turn}"
                assert client.get(client.store(title, "text")["id"])["title"] == title
            client.close()
            code = 0
        finally:
            os._exit(code)
    children.append(child)
for turn in range(20):
    title = f"parent {turn}"
    assert client.get(client.store(title, "text")["id"])["title"] == title
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
client.store("after", "text")
client.close()
"""

CANCELLED = """
async def main():
    loop = asyncio.get_running_loop()
    told = []
    loop.set_exception_handler(lambda _, context: told.append(context))
    async with AsyncClient(url, **given) as client:
        await client.store("warm", "text")
        before = sockets()
        for turn in range(60):
            tasks = [loop.create_task(client.store(f"t{turn}", "text")) for _ in range(6)]
            tasks.append(loop.create_task(client.recall("text")))
            for _ in range(turn):
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(result, (dict, asyncio.CancelledError)), result
        async for _ in client.export():
            break
        async for _ in client.iterate(page=2):
            break
        try:
            async with asyncio.timeout(0.2):
                async for _ in client.events():
                    pass
        except TimeoutError:
            pass
        assert (await client.get((await client.store("still", "text"))["id"]))["title"] == "still"
        assert sockets() - before < 20, (sockets(), before)
    await asyncio.sleep(0)
    gc.collect()
    assert told == [], told
    return sockets()

base = sockets()
"""

ON_ASYNCIO = CANCELLED + "asyncio.run(main())\nassert sockets() == base, (sockets(), base)\n"
ON_UVLOOP = CANCELLED + "import uvloop\nuvloop.run(main())\nassert sockets() == base\n"


@pytest.mark.parametrize(
    "script",
    [THREADS, FORK, ON_ASYNCIO, ON_UVLOOP],
    ids=["threads", "fork", "asyncio-cancelled", "uvloop-cancelled"],
)
def test_a_client_used_this_way_leaves_nothing_behind(
    shared_mesh: list[RealNode], script: str
) -> None:

    node = shared_mesh[0]
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", COMMON + script, node.url,
         json.dumps(options(node, "ai:ways"))],
        capture_output=True, text=True, timeout=120, env=clean_environment(), check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", "")

"""What the operations page says of a lost store: start empty, fetch everything from the peers."""

from pathlib import Path
from typing import Final

import pytest

from tests.architecture.docs_blocks import Block
from tests.architecture.docs_shell import Stage

_UP: Final = "mnemesh mesh up --nodes 3 --dir mesh --base-port 9100\n"
_STORE: Final = "mnemesh store Kept Text --id kept --data-dir mesh/node-2\n"


def _block(text: str, **tags: str) -> Block:
    return Block(document=__name__, line=1, language="sh", tags=tags, text=text)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize("lost", ["node-1", "node-3"])
def test_a_node_without_its_store_fetches_everything(lost: str, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.run(_block(_UP + _STORE))
        folder = f"mesh/{lost}"
        stage.run(
            _block(f"mnemesh stop --data-dir {folder}\nrm -r {folder}/CURRENT {folder}/store-*")
        )
        stage.run(_block(f"mnemesh serve --detach --data-dir {folder}"))
        stage.run(_block(f"mnemesh get kept --data-dir {folder}", until="Text"))

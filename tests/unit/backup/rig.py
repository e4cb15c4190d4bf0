"""Data folders with a small store, and the backups of them.

Law: no node runs here. A store that is backed up is closed in this process, as the engine opens
a file only once in one process; a second process does what the command does.
"""

from pathlib import Path

from crdt.dot import PRIVATE
from crdt.genesis import Standing, encode_standing
from crdt.governance import Genesis
from node.backup.belonging import Target
from node.backup.taking import Source, Taken, take
from node.store.folder import current_path, open_current
from node.store.store import Store
from tests.unit.store.rig import MAP_BYTES, Maker, entropy
from transport.identity import NodeKey

NOW_MS = 1_790_000_000_000
MINUTE_MS = 60_000
SECRETS = {"api_key": b"the-secret-of-agents", "tls.key": b"PRIVATE KEY of the certificate"}


class Home:
    """The data folder of one node.

    Attributes:
        key: of the node.
        maker: writes its store.
    """

    def __init__(self, data_dir: Path, number: int = 1, cluster: str = "mesh") -> None:
        self.data_dir = data_dir
        self.key = NodeKey(bytes([100 + number]) * 32)
        self.maker = Maker(number)
        self.cluster = cluster
        self.titles: list[str] = []
        keys = data_dir / "keys"
        keys.mkdir(parents=True)
        self.key.save(keys / "node.key")
        for name, data in SECRETS.items():
            (keys / name).write_bytes(data)
        (keys / "allowlist").write_text("# who may connect\n", encoding="ascii")
        (data_dir / "config.toml").write_text("schema_version = 1\n", encoding="ascii")

    def open(self) -> Store:
        return open_current(self.data_dir, entropy=entropy, map_bytes=MAP_BYTES)

    def write(self, count: int, *, private: bool = False) -> None:
        """Some more records, in one commit."""
        store = self.open()
        for _ in range(count):
            title = f"r{len(self.titles)}"
            self.titles.append(title)
            self.maker.create(title, title=f"title of {title}")
        if private:
            self.maker.create(f"p{len(self.titles)}", PRIVATE)
        genesis = Genesis(cluster=self.cluster, founders=("node:1",))
        standing = encode_standing(Standing(genesis=genesis, joined=True))
        store.commit(self.maker.take(genesis=standing))
        store.close()

    def source(self) -> Source:
        return Source(
            data_dir=self.data_dir,
            key=self.key,
            name="node-a",
            runs=False,
            files={
                "config.toml": self.data_dir / "config.toml",
                "allowlist": self.data_dir / "keys" / "allowlist",
            },
        )

    def target(self) -> Target:
        keys = self.data_dir / "keys"
        return Target(
            data_dir=self.data_dir,
            node_id=self.key.node_id.hex(),
            places={
                "config.toml": self.data_dir / "config.toml",
                "allowlist": keys / "allowlist",
                "peers": keys / "peers",
            },
        )

    def backup(self, folder: Path, at: int = 0, keep: int = 48) -> Taken:
        """One backup, made so many minutes after the first."""
        return take(self.source(), folder, keep=keep, now_ms=NOW_MS + at * MINUTE_MS)

    def live(self) -> Path:
        path = current_path(self.data_dir)
        assert path is not None
        return path

    def held(self) -> tuple[str, int, int]:
        """Id and digest of the live store, and how many records it has."""
        store = self.open()
        try:
            return store.store_id, store.head.digest, len(store.feed.after(0, 10_000))
        finally:
            store.close()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}

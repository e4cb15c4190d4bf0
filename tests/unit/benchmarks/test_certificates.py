"""The certificates of rivals hold at both ends of a handshake."""

import ssl
from pathlib import Path

from tests.benchmarks.certificates import made


def test_each_end_verifies_the_other(tmp_path: Path) -> None:
    files = made(tmp_path)
    assert files.key.stat().st_mode & 0o777 == 0o600
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context in (server, client):
        context.load_cert_chain(files.certificate, files.key)
        context.load_verify_locations(files.authority)
        context.verify_mode = ssl.CERT_REQUIRED
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert all(end.getpeercert() for end in ends)

"""Shapes of the node itself, of the mesh, and of the REST face of federation."""

from typing import Final

from node.http.openapi.components import MEMORY, written
from node.http.openapi.schema import (
    all_there,
    anything,
    either,
    flag,
    many,
    maybe,
    moment,
    one_of,
    table,
    text,
    thing,
    whole,
)
from node.http.openapi.shapes import PLAIN, RECORD_ID, Shape, Shapes
from node.mesh_view import Clocks

_METRICS: Final = "text/plain"
_COUNT: Final = whole(0)
_CLOCKS: Final = {"clocks": one_of(*Clocks)}
_MESH: Final = thing(
    ("node_id", "name", "cluster", "digest", "quorum", "members"),
    node_id=text(),
    name=text(),
    cluster=text(),
    clock=table(_COUNT),
    digest=text(),
    quorum=all_there(n=_COUNT, w=_COUNT),
    members=many(
        thing(
            ("node_id", "name", "peer_url", "state", "lag_ops", "lag_seconds"),
            node_id=text(),
            name=text(),
            peer_url=text(),
            state=text(),
            clock=table(_COUNT),
            lag_ops=_COUNT,
            digest_agree=maybe(flag()),
            last_success_at=maybe(moment()),
        )
    ),
)
_PEERS: Final = thing(("peers",), peers=many(table(anything())))
_URLS: Final = many(text(pattern="^https://"))

NODE_SHAPES: Final[Shapes] = {
    "GET /livez": Shape(media=PLAIN, answers={200: text()}),
    "GET /readyz": Shape(
        query={"require": one_of("quorum")}, media=PLAIN, answers={200: text(), 503: text()}
    ),
    "GET /metrics": Shape(media=_METRICS, answers={200: text()}),
    "GET /health": Shape(
        answers={
            200: all_there(
                status=text(),
                service=text(),
                version=text(),
                node_id=text(),
                federation_enabled=flag(),
            )
        },
        errors=(503,),
    ),
    "GET /version": Shape(
        answers={200: all_there(version=text(), api_version=text(), protocol_version=_COUNT)}
    ),
    "GET /capabilities": Shape(
        answers={
            200: all_there(
                schema_version=text(),
                tier=one_of("keyword", "semantic", "smart"),
                version=text(),
                features=table(flag()),
                models=table(anything()),
                permissions=table(anything()),
                hooks=table(anything()),
                compaction=table(anything()),
                approval=table(anything()),
                transcripts=table(anything()),
                federation=table(anything()),
            )
        }
    ),
    "GET /stats": Shape(
        answers={
            200: all_there(
                total=_COUNT,
                by_tier=many(all_there(tier=text(), count=_COUNT)),
                by_namespace=many(all_there(namespace=text(), count=_COUNT)),
                expiring_soon=maybe(_COUNT),
                links_count=maybe(_COUNT),
                db_size_bytes=_COUNT,
            )
        }
    ),
    "GET /openapi.json": Shape(answers={200: table(anything())}),
    "GET /doctor": Shape(
        answers={
            200: all_there(
                sections=many(
                    all_there(
                        name=text(),
                        severity=one_of("ok", "info", "warning", "critical"),
                        findings=many(
                            all_there(severity=text(), text=text(), fix=text(), link=text())
                        ),
                    )
                )
            )
        },
        errors=(404, 503),
    ),
    "GET /verify": Shape(
        query={"memory": RECORD_ID},
        answers={200: thing(chain_holds=flag())},
        errors=(404, 409, 503),
    ),
    "GET /mesh": Shape(query=_CLOCKS, answers={200: _MESH}),
    "POST /cluster": Shape(query=_CLOCKS, answers={200: _MESH}),
    "POST /mesh/introduce": Shape(
        body=all_there(certificate=text(about="PEM")), answers={200: all_there(fingerprint=text())}
    ),
    "POST /mesh/join": Shape(
        body=table(anything()), answers={200: table(anything())}, errors=(409, 503)
    ),
    "POST /mesh/remove": Shape(
        body=thing(node_id=text(least=1), name=text(least=1), force=flag()),
        answers={200: written(removed=flag(), node_id=text(), name=text(), dot=text())},
        errors=(404, 409, 503, 507),
    ),
    "GET /peer": Shape(answers={200: anything()}, hidden=True),
    "POST /sync/push": Shape(
        body=thing(
            ("sender_agent_id",),
            sender_agent_id=text(),
            sender_clock=thing(entries=table(_COUNT)),
            memories=many(table(anything())),
            deletions=many(text()),
            archives=many(text()),
            restores=many(text()),
            links=many(table(anything())),
            dry_run=flag(),
        ),
        answers={
            200: written(
                applied=_COUNT,
                deleted=_COUNT,
                archived=_COUNT,
                restored=_COUNT,
                noop=_COUNT,
                skipped=_COUNT,
                dry_run=flag(),
                receiver_agent_id=text(),
                results=many(all_there(kind=text(), id=text(), status=text())),
            )
        },
    ),
    "GET /sync/since": Shape(
        query={
            "since": either(moment(), text(about="a token of an earlier answer")),
            "peer": text(),
            "limit": _COUNT,
        },
        answers={
            200: thing(
                ("count", "memories", "deletions", "links", "next_since", "complete"),
                count=_COUNT,
                memories=many(MEMORY),
                deletions=many(text()),
                links=many(table(anything())),
                next_since=text(),
                complete=flag(),
            )
        },
    ),
    "GET /federation/peers": Shape(answers={200: _PEERS}, errors=(503,)),
    "POST /federation/peers": Shape(
        body=all_there(peers=_URLS), answers={200: _PEERS}, errors=(409, 503)
    ),
    "DELETE /federation/peers": Shape(
        body=all_there(peers=_URLS), answers={200: all_there(dropped=many(text()))}, errors=(503,)
    ),
}

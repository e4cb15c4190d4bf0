"""The node: composes the replication core (`crdt`) and the links (`transport`).

Law: the only package that touches both. Data flows one way: a request passes the gate,
becomes an operation in the core, goes to the committer and the peers, and is answered
when the quorum holds it.
"""

__version__ = "0.2.0"

"""Documents that many write at once: real Automerge documents, kept as chunks in a record.

Law: pure, as all of `crdt`. A document is the set of its changes; whoever holds the same set sees
the same document, whatever the order in which it came (Kleppmann and Beresford, A conflict-free
replicated JSON datatype, 2017; the binary format as published at automerge.org).
"""

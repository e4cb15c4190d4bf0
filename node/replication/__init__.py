"""The replicated side of a node: the core over the store, and the one way to write.

Law: everything here runs on the event loop's thread except what `snapshots` hands to a worker
thread; the store is written by its committer alone.
"""

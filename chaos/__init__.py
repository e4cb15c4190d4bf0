"""The outside: starts real nodes as processes, breaks the world between them, judges the rest.

Law: imports nothing else of ours and speaks to nodes only through what their users have:
processes, sockets, files and the HTTP contract. It runs on trio.
"""

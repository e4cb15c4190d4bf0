"""Memories: what agents store, as they see it and as it is written.

Law: whether a caller may know of a memory, and what a request may put into one, is decided in
this package alone; every lane asks it.
"""

"""Collaborative documents: memories whose text many agents write at once.

Law: a document is a record like any other. What is here reads chunks that the record holds and
makes drafts that the one funnel takes; nothing here stores, sends or confirms anything.
"""

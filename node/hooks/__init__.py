"""Hooks: commands and webhooks that are asked before something happens, or told afterwards.

Law: a hook only narrows. Who is asked may refuse and change nothing; who is told delays nobody.
Every run has a deadline, a bounded answer and a place in a bounded line.
"""

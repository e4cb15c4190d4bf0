"""A peer of its own code that speaks the wire protocol, honestly or not.

Law: written from docs/protocol.md alone. It is a member that its operator let in, so whatever it
sends is well signed unless an attack says otherwise; every attack is a function of a target and a
seeded source of chance, and tells what it expected and what it saw.
"""

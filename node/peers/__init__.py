"""Peers: who they are, the links to them, and the membership they make up.

Law: identity comes from the certificate of the connection and the signature in the greeting,
never from a header. A link carries the core's messages and nothing else.
"""

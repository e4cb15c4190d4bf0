"""The HTTP face of a node: the agent API and the door for peers.

Law: handlers translate; they decide nothing about memories, quorum or membership. There is
no middleware: one dispatcher looks a route up in a dictionary and checks in a fixed order.
"""

from node.auth.keys import key_digest
from node.http.hosts import HostRule
from node.http.server import HttpServer, build_server
from node.http.services import Door, Services

__all__ = ["Door", "HostRule", "HttpServer", "Services", "build_server", "key_digest"]

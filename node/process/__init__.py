"""What the node is to the system that runs it: a service that tells how it is.

Law: nothing here knows what a memory is; nothing here can stop the node by failing.
"""

"""What happened to the mesh, for those who follow: streams, webhooks, messages, sessions.

Law: an event is read off the log of applied operations and told to those alone who may know of
what it is about; nothing in this package keeps a queue of its own.
"""

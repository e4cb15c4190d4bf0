"""The replication core behind the Maelstrom node protocol: a third party's door to it.

Law: nothing here merges anything. Adds are operations minted by `crdt.replica`, spread by the
messages of `crdt.exchange`, and read back from the core's records; what is added here is a
way for bytes to travel, and the words of the protocol.
"""

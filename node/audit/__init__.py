"""What happened on this node, as a chain that nobody can bend unseen.

Law: an entry is signed and linked to the one before it; entries are added, and dropped from
the old end alone, with a signed note of where the chain begins. Damage is reported, never
mended. Peers countersign the newest entry, so that a cut-off end shows.
"""

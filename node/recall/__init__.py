"""Local recall: finding memories by what they say.

Law: recall is derived and local. It never crosses the network, never writes a memory, and
every file it keeps can be thrown away and made again from the store.
"""

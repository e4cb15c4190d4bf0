"""Exchange with nodes of other meshes over the REST face of federation.

Law: a foreign peer knows no causality, so this package remembers for it: what was last
exchanged, and which of our operations that was. Everything that comes in enters through the
one funnel and becomes an operation of this node; nothing that comes in is believed beyond that.
"""

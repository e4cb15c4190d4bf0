"""Links between memories, and what can be told by walking along them.

Law: a link is one record, stated once; everything else about links is derived from those.
"""

"""What each agent has used up at this node, and how much it may.

Law: charged where a write enters the mesh, never where it is replicated to.
"""

"""What is known about the world: entities, what links say when, and how namespaces nest.

Law: nothing here is a second truth. Entities are memories, facts are links, counts are those
of the store; what is kept beside them is derived and can be thrown away.
"""

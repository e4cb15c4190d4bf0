"""A language model that an operator may give the node, and what it is asked.

Law: without `[llm]` nothing here runs and nothing is sent anywhere. What a model says is
text from outside: bounded, read strictly, and never written without an agent's own request.
"""

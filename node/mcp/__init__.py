"""The memory as tools of the Model Context Protocol, over stdio and over HTTP.

Law: a tool is a request to the API and nothing more. Whoever calls one passes the same gate,
roles, quotas and audit as any other caller, and no tool can do what no route does.
"""

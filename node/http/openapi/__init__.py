"""The OpenAPI 3.1 document of the HTTP API.

Law: made from the one table of routes and one shape per route; a route without a shape, or a
shape without a route, fails a test. The document says what the code checks: bounds come from
the table of limits.
"""

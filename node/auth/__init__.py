"""Who sent this: keys of agents and peers, signatures, nonces, API keys.

Law: verification is pure and knows no HTTP; a refusal is one typed error with a stable code.
What an operator grants stands in files of the key folder, which a running node reads again.
"""

"""What people and agents do about governance: policies, registrations, roles, decisions.

Law: this lies above the seams of `node.contracts`: it reads through `Governing`, changes
through `Funnel.govern` and `Funnel.decide`, and decides nothing that the core decides again.
A request is checked whole before anything is minted; what cannot count is refused here with
words, so that nobody has to find out from its lack of effect.
"""

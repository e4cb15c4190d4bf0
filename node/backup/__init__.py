"""Copies of a node's store in a folder of the operator's, and the way back from them.

Law: see `taking` (how one is made), `verifying` (what makes one valid), `restoring` (how a store
is brought back) and `recovering` (what a node that was brought back may not do yet).
"""

"""Integrity: what is stored is checked, set apart when it is damaged, and made whole again.

Law: nothing here is on the hot path. A damaged row is never believed: it is left out, told, and
written anew only from bytes that prove themselves against what this node still knows.
"""

"""Bytes and TLS: identity, allowlist, frames, links, listener, dialler.

Law: knows no meanings and imports nothing else of ours. It moves opaque messages between
processes that have proven who they are, within limits, and reports what it refused.
"""

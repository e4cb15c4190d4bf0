"""Campaigns: a plan, its cycles on one mesh that lives on, and a verdict for each."""

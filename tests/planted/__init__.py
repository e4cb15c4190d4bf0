"""Planted bugs: one rule of the shipped code broken at a time, to see which tests notice."""

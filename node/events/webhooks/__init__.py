"""Deliveries of events to addresses outside.

Law: nothing is sent that is not signed where a secret was given, and nothing is connected to
that was not looked at just before.
"""

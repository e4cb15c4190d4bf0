"""What the data means: dots, clocks, bundles, records, merge, the replica, the sync session.

Law: no I/O, no clock, no randomness, no import of anything else of ours. Inputs are
messages and numbers; outputs are changes to persist and messages to send once they are
persisted. The simulator runs exactly these modules.
"""

"""Judging histories.

Law: a checker is a pure function of events. It asks no node and no clock, so a verdict can be
repeated from the file alone, and a checker can itself be tested with histories that were
doctored. Each is linear in the number of events. Where a history leaves two truths possible
(a 503, a timeout, two writes that may not have known of each other) both are right.
"""

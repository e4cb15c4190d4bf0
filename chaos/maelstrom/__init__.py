"""A workbench for programs that speak the Maelstrom node protocol.

Law: knows the protocol and nothing of what speaks it: any program is started, its messages are
carried, delayed, lost and cut off, and the answers its clients got are judged. The original
(Maelstrom, by Jepsen) runs on a JVM; this one plays the same protocol and the same workloads
where there is none, so that what passes here can be run there.
"""

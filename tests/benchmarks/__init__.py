"""Benchmarks of real meshes: processes, disks, TLS; run by `make bench`.

Law: nothing here runs inside a node. Meshes are made by the command line, driven over sockets
by a process of its own, and judged by what the kernel says about the nodes' processes. Figures
of time depend on the machine and on what else it does; CPU per operation much less, so both
are always told side by side.
"""

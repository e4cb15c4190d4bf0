"""The wires between nodes: places, proxies, and packets that never arrive."""

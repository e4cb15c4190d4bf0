"""The simulator: the shipped core under a virtual clock, in a world that breaks."""

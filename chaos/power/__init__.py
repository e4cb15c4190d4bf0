"""Power loss: what a node's files may look like when the machine dies at any moment.

Law: the moments and the bytes are those of a real node under real load, written down by
strace; the images are every one that POSIX allows (docs/decisions/0023-power-loss.md), not
those that one file system happens to leave. A log that does not explain the node's files to
the last byte proves nothing, so it is refused.

    syscalls     a trace -> system calls with their begin, their end and their data
    writelog     what a node did to its files
    following    system calls -> a write log
    disk         what of it has reached the disk for sure, and what is still on its way
    images       every legal state after a crash: the small spaces whole, others by a seed
    load         clients that write, and remember what was promised to them
    promises     what an image must hold, and what it may hold
    recording    a node under strace and load
    opener       the program that opens images with the node's own code, in a process of its own
    cycle        one cycle: record, replay, judge
"""

from chaos.power.cycle import PowerResult, power_cycle
from chaos.power.images import Image, images
from chaos.power.writelog import Incomplete, WriteLog

__all__ = ["Image", "Incomplete", "PowerResult", "WriteLog", "images", "power_cycle"]

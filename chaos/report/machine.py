"""What a campaign ran on, for the first line of its history.

Law: asks the system only, changes nothing, never fails: what cannot be learnt is left out. No name
of the machine and no path, for reports are shown to strangers.
"""

import os
import platform
import re
from pathlib import Path
from typing import Final

_MODEL: Final = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)
_TOTAL: Final = re.compile(r"^MemTotal:\s*(\d+) kB$", re.MULTILINE)
_KIB_PER_GIB: Final = 1024 * 1024


def machine() -> dict[str, str | int | float]:
    """Processor, cores that may be used, memory (GiB), system and Python."""
    found: dict[str, str | int | float] = {"cores": len(os.sched_getaffinity(0))}
    model = _MODEL.search(_text("/proc/cpuinfo"))
    if model:
        found["processor"] = model[1]
    total = _TOTAL.search(_text("/proc/meminfo"))
    if total:
        found["memory_gib"] = round(int(total[1]) / _KIB_PER_GIB, 1)
    found["system"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    found["python"] = platform.python_version()
    return found


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

"""Write logs made by hand, for tests of the model."""

from pathlib import Path

from chaos.power.syscalls import NEVER
from chaos.power.writelog import ROOT, Data, Names, Op, Size, Sync, WriteLog


class Script:
    """Operations one after the other; `begin` and `end` for those that overlap."""

    def __init__(self, **files: bytes) -> None:
        self.log = WriteLog(Path("/nowhere"))
        for number, (name, data) in enumerate(files.items(), 1):
            self.log.files[number] = data
            self.log.names[ROOT][name] = number
        self._line = 0

    def add(self, what: Data | Size | Names | Sync, *, last: bool = True) -> "Script":
        began, self._line = self._line, self._line + 1
        ended = began if last else NEVER
        self.log.ops.append(
            Op(what=what, began=began, ended=ended, began_ns=began, ended_ns=ended, thread=1)
        )
        return self

    def between(self, what: Sync, *others: Data) -> "Script":
        """A sync during which other operations begin and end."""
        began, self._line = self._line, self._line + 1
        for other in others:
            self.add(other)
        ended, self._line = self._line, self._line + 1
        self.log.ops.append(
            Op(what=what, began=began, ended=ended, began_ns=began, ended_ns=ended, thread=2)
        )
        return self

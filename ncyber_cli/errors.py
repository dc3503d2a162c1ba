"""Errors a user can act on. Each says what is wrong, where, and what to do, and has an exit code."""

from __future__ import annotations


class NcyberError(Exception):
    """Base of every error that is the user's to mend."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}; {self.remedy}" if self.remedy else head


class UsageError(NcyberError):
    exit_code = 2


class SpecError(NcyberError):
    exit_code = 3


class DataError(NcyberError):
    exit_code = 4


class CheckpointError(NcyberError):
    exit_code = 5


class NumericalError(NcyberError):
    exit_code = 6


class ResourceError(NcyberError):
    exit_code = 7


class DiskFull(ResourceError):
    """No space is left, a quota is reached or a file may not grow; HDF5's own state is in ruins after it."""


class RequirementUnmet(NcyberError):
    """Everything was done and written; a metric that had to be met was not."""

    exit_code = 8


class Stopped(BaseException):
    """A signal that asks to end arrived: whatever is under way is left, as after Ctrl-C."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


class Interrupted(NcyberError):
    """A signal ended the run after its state was saved; the exit code is 128 + signal."""

    def __init__(self, signal_number: int, what: str, *, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.exit_code = 128 + signal_number

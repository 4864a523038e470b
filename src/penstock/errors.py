"""Every error that Penstock raises on purpose.

Each message says what was wrong, where, what was expected and what to do. The command line prints the
message alone and leaves with :attr:`PenstockError.exit_code`; no traceback is shown for a user's mistake.
"""

from __future__ import annotations


class PenstockError(Exception):
    """Anything that Penstock reports in words; catch it to catch them all."""

    exit_code = 1


class InputError(PenstockError):
    """The user's input cannot be used as it is: a file, a column, an option, a request."""

    exit_code = 2


class DataError(InputError):
    """The data cannot be read or cannot be learnt from."""


class DataWarning(UserWarning):
    """Rows that are answered all the same hold something that training never saw so: it counts as missing.

    Attributes
    ----------
    found : str
        What they hold.
    """

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found

    def __str__(self) -> str:
        return f"{self.found}: they count as missing"


class StaleWarning(DataWarning):
    """Rows that are answered all the same are far ahead of all that is known of a table which features look into."""

    def __str__(self) -> str:
        return self.found


class GraphError(InputError):
    """The steps do not form a graph: a cycle, a missing or doubled name, types that do not fit."""


class FingerprintError(InputError):
    """Something that a step depends on cannot be hashed soundly, so it is refused rather than guessed."""


class StoreError(PenstockError):
    """The store cannot be opened, read or written."""


class DamagedArtifactError(StoreError):
    """An artifact's bytes do not have the digest under which they were stored."""


class MissingArtifactError(StoreError):
    """An artifact that the catalog names is not in the store."""


class StepError(PenstockError):
    """A step's own function raised, ran out of time, or was killed."""


class CancelledError(PenstockError):
    """The run was stopped, by Ctrl-C or by the caller."""


class ServiceError(PenstockError):
    """The service cannot start or cannot go on."""

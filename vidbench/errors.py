"""The exceptions that vidbench raises on purpose; each carries one line a person can act on."""

from __future__ import annotations


class VidbenchError(Exception):
    """A failure with a message that says what was asked, what was found and what to do."""

    exit_code = 1


class ConfigError(VidbenchError):
    """The request itself is wrong: found before any work starts."""

    exit_code = 2


class FetchError(VidbenchError):
    """A file could not be fetched or is not what was promised."""


class ArchiveError(VidbenchError):
    """An archive is damaged or holds something that must not be extracted."""


class CacheError(VidbenchError):
    """A cached clip is damaged, foreign or gone."""


class ModelError(VidbenchError):
    """A model's weights could not be found, or do not answer as they should."""


class DiskFullError(VidbenchError):
    """A disk has no room left; nothing half written is kept."""


class SharedError(VidbenchError):
    """A shared folder cannot be reached, or refuses what is asked of it."""


class StoppedError(VidbenchError):
    """Somebody asked the run to stop; what is done is kept.

    Args:
        message: What was done, and how to go on.
        signal_number: The signal that asked.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class VideoError(VidbenchError):
    """One video cannot be used; the run records it and goes on.

    Args:
        reason: One word that is counted in the metrics, e.g. ``unreadable``.
        detail: What was found, for a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

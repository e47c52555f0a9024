"""Exceptions of vidbench; each has a one-line message that a user can act on."""

from __future__ import annotations


class VidbenchError(Exception):
    """Base of all errors; the message states what was asked, what was found and what to do."""

    exit_code = 1


class ConfigError(VidbenchError):
    """The request is invalid; found before any work starts."""

    exit_code = 2


class FetchError(VidbenchError):
    """A file could not be fetched, or its content is not as expected."""


class ArchiveError(VidbenchError):
    """An archive is damaged, or has an entry that must not be extracted."""


class CacheError(VidbenchError):
    """A cached clip is missing or damaged, or another program wrote it."""


class ModelError(VidbenchError):
    """A model's weights could not be found, or its output is not as expected."""


class DiskFullError(VidbenchError):
    """A disk is full; no partial file is left."""


class SharedError(VidbenchError):
    """A remote store cannot be reached, or refuses a request."""


class StoppedError(VidbenchError):
    """A signal stopped the run; finished work is kept.

    Args:
        message: What was done, and how to resume.
        signal_number: The signal.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class VideoError(VidbenchError):
    """A video cannot be used; the run records this and continues.

    Args:
        reason: One word that is counted in the metrics, e.g. ``unreadable``.
        detail: Description of the problem for users.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

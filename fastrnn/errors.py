"""Exceptions raised for user errors.

A message is one line: the problem, then how to fix it. The command line prints it after ``fastrnn:`` and exits with
``exit_status``.
"""

from .message import MESSAGE, shorten


class FastRNNError(Exception):
    """Base class of all errors a user can fix. Long messages are shortened."""

    exit_status = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(shorten(str(message), MESSAGE))


class ConfigError(FastRNNError):
    """A setting is unknown, invalid, or incompatible with another."""

    exit_status = 2


class InputError(FastRNNError):
    """Input data cannot be read or contains unknown tokens."""


class CheckpointError(FastRNNError):
    """A model file is missing, corrupt, of another format, or of another version."""


class OutputError(FastRNNError):
    """A result cannot be written to the requested place."""


class BackendError(FastRNNError):
    """The requested device is not available."""


class DivergedError(FastRNNError):
    """Training repeatedly produced NaN or infinity, even with smaller learning rates."""

    exit_status = 4

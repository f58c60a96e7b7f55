"""The few kinds of error a user can meet.

A message is one line: what was wrong, then what would be right. The command line prints it after
``fastrnn:`` and leaves with ``exit_status``.
"""

from .message import MESSAGE, shorten


class FastRNNError(Exception):
    """Anything a user can meet and mend. Its message is of bounded length, whatever it quotes."""

    exit_status = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(shorten(str(message), MESSAGE))


class ConfigError(FastRNNError):
    """A setting is unknown, impossible, or does not go with another."""

    exit_status = 2


class InputError(FastRNNError):
    """A text or a token in it cannot be used."""


class CheckpointError(FastRNNError):
    """A model file is missing, damaged, foreign, or of another version."""


class OutputError(FastRNNError):
    """A result cannot be written where it was asked for."""


class BackendError(FastRNNError):
    """The device that was asked for is not here."""


class DivergedError(FastRNNError):
    """Training met NaN or infinity again and again, also with smaller learning rates."""

    exit_status = 4

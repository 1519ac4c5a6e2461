"""The exceptions that blurgen raises for a cause that a person can mend.

Each message is one sentence: what was given, where, and what is allowed. The command line prints it and
exits with 1; nothing in the library catches another library's error without saying it in these terms.
"""


def printable(text: str) -> str:
    """A text on one line; what cannot be printed is escaped as Python does it."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


class BlurgenError(Exception):
    """Base of every error that blurgen raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong. Names in it may come out of strangers' files: lines are joined, and what cannot be
        printed is escaped, so that it does nothing to a terminal.
    """

    def __init__(self, message: str) -> None:
        # other libraries speak in several lines
        super().__init__(printable(" ".join(filter(None, map(str.strip, message.splitlines())))))


class InputError(BlurgenError, ValueError):
    """An argument is of the wrong type, shape or range."""


class RecipeError(BlurgenError, ValueError):
    """A recipe is malformed; the message names recipe, stage, field, value and what is allowed."""


class SourceError(BlurgenError):
    """Sharp images cannot be found or read."""


class ClusterError(BlurgenError):
    """A cluster cannot be reached, or has no worker that can be used."""


class FileError(BlurgenError):
    """A pair file cannot be written, resumed or read."""

"""Files that the configuration names: where a relative path leads; reading within bounds."""

import os


class Unreadable(Exception):
    """A file could not be read; the text says why, without its path."""


def read_bounded(path: str, max_bytes: int) -> bytes:
    """Return a file's content.

    :raises Unreadable: it cannot be opened or read, or has more than ``max_bytes`` bytes.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise Unreadable(error.strerror or type(error).__name__) from error
    except ValueError as error:
        # A path with a zero byte or a lone surrogate.
        raise Unreadable("not a possible path") from error
    if len(content) > max_bytes:
        raise Unreadable(f"more than {max_bytes} bytes")
    return content


def input_path(path: str, directory: str) -> str:
    """Return where a file to be read lies, as an absolute path.

    A relative path means the configuration's ``directory``, so that gnetway may be started from
    anywhere; unless the file is only in the current directory, where Teamgram looks.
    """
    beside = os.path.abspath(os.path.join(directory, path))
    here = os.path.abspath(path)
    return here if os.path.exists(here) and not os.path.exists(beside) else beside


def output_path(path: str, directory: str) -> str:
    """Return where a file to be made lies, as an absolute path.

    A relative path means the configuration's ``directory``, whether or not the file exists yet:
    it must be found again when gnetway is started from somewhere else.
    """
    return os.path.abspath(os.path.join(directory, path))

"""Files: replaced in one step, read as data, and written by one process at a time.

A file is written beside its name and renamed, so that whatever dies leaves the old one or the new one; the
folder is synchronised after the rename. What a killed write leaves behind is removed by the next one: each
temporary file is locked by its writer, and a lock of the operating system ends with its process.
"""

from __future__ import annotations

import csv
import glob
import io
import json
import os
import secrets
import socket
import sys
import tomllib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from stackelberg_games.errors import CheckpointError, InvalidArgumentError, StackelbergError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet takes for a formula."""
_MODE = 0o666
"""Of new files, less what the umask takes away."""


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file in one step, so that a crash leaves the old one or the new one.

    Raises:
        CheckpointError: the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        temporary, descriptor = _temporary(path)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                if sys.platform != "win32":
                    os.replace(temporary, path)  # while it is locked, so that nobody takes it for a leftover
            if sys.platform == "win32":
                os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from error


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table; see ``csv_bytes``.

    Raises:
        CheckpointError: the folder cannot be written to.
    """
    write_atomically(path, csv_bytes(columns, rows))


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A table as CSV; floats come back exactly, and no text is a formula to a spreadsheet.

    A text that begins like a formula (``=``, ``+``, ``-``, ``@``, a tab or a carriage return) is written behind
    an apostrophe, which spreadsheets do not show.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def save_figure(figure: Any, path: Path, **options: Any) -> None:
    """Write a Matplotlib figure; the suffix decides the format.

    Raises:
        InvalidArgumentError: there is no such format.
        CheckpointError: the folder cannot be written to.
    """
    suffix, known = path.suffix.lstrip(".").lower(), figure.canvas.get_supported_filetypes()
    if suffix not in known:
        raise InvalidArgumentError(f"{path}: expected a name that ends in .png, .svg, .pdf or another picture's suffix")
    picture = io.BytesIO()
    figure.savefig(picture, format=suffix, **options)
    write_atomically(path, picture.getvalue())


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def is_read_only(folder: Path) -> bool:
    """Whether there is such a folder, and this process may not write to it."""
    return folder.is_dir() and not os.access(folder, os.W_OK)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk, where the platform can."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(path: Path) -> None:
    """Remove what killed writes of a file have left; one that is being written is locked, and stays."""
    for leftover in path.parent.glob(f"{glob.escape(_stem(path))}*.tmp"):
        with suppress(OSError):
            if sys.platform == "win32":
                leftover.unlink()  # refused while it is open
                continue
            descriptor = os.open(leftover, os.O_WRONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                leftover.unlink()
            finally:
                os.close(descriptor)


def create(path: Path) -> None:
    """Make an empty file where there is none, with the mode that the umask allows."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, _MODE))


class FolderLock:
    """The right to write into a folder, which one process can hold; it ends with the process.

    Args:
        folder: made where it is missing.
        name: of the lock's file.
        error: what is raised.

    Raises:
        StackelbergError: another process holds it, or the folder cannot be written to.
    """

    def __init__(self, folder: Path, name: str, error: type[StackelbergError]) -> None:
        self.path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._claimed(error)
        except OSError as problem:
            raise error(f"cannot write to {folder}: {problem.strerror or problem}") from problem
        with suppress(OSError):  # a full disk: the lock holds without a name, and writing results will tell
            self._file.truncate(0)
            self._file.write(f"process {os.getpid()} on {socket.gethostname()}")
            self._file.flush()

    def _claimed(self, error: type[StackelbergError]) -> IO[str]:
        """The file of the lock, open and locked."""
        while True:
            file = open(self.path, "a+", encoding="utf-8", errors="replace")  # noqa: SIM115 held until close
            if not _try_lock(file):
                file.seek(0)
                holder = file.read(200).strip() or "another process"
                file.close()
                raise error(
                    f"{self.path.parent} is in use: {holder} is writing to it; wait for it or choose another folder"
                )
            with suppress(OSError):
                if os.path.samestat(os.fstat(file.fileno()), os.stat(self.path)):
                    return file
            file.close()  # its holder has just removed it: another one will be the lock

    def close(self) -> None:
        """Give it back."""
        with suppress(OSError):  # a full disk has kept its own name from being written
            if sys.platform != "win32":
                self.path.unlink()  # while it is held, so that nobody else's goes
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_text(path: Path, error: type[StackelbergError]) -> str:
    """The text of a file in UTF-8, a byte-order mark left out.

    Raises:
        StackelbergError: of the class ``error``: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as problem:
        raise error(f"cannot read {path}: {problem}") from problem


def parse_json(text: str | bytes, what: str, error: type[StackelbergError]) -> Any:
    """Plain data from JSON; ``what`` names it in the message.

    Raises:
        StackelbergError: of the class ``error``: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise error(f"{what} cannot be read: {_reason(problem)}") from problem


def parse_toml(text: str, what: str, error: type[StackelbergError]) -> dict[str, Any]:
    """Plain data from TOML; ``what`` names it in the message.

    Raises:
        StackelbergError: of the class ``error``: it is no TOML, or nested too deeply.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as problem:
        raise error(f"{what} cannot be read: {_reason(problem)}") from problem


def _reason(problem: Exception) -> str:
    return "it is nested too deeply" if isinstance(problem, RecursionError) else str(problem)


def _temporary(path: Path) -> tuple[Path, int]:
    """A new locked file beside ``path``."""
    while True:
        temporary = path.parent / f"{_stem(path)}{secrets.token_hex(6)}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        if sys.platform == "win32":
            return temporary, descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody has just taken it for a leftover
            os.close(descriptor)
            continue
        except OSError:  # a file system without locks: leftovers stay there
            return temporary, descriptor
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)


def _stem(path: Path) -> str:
    """What the names of a file's temporary files begin with; short enough for every file system."""
    return f".{path.name[:50]}."


def _try_lock(file: IO[str]) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(1 << 30)  # a byte that nobody reads
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

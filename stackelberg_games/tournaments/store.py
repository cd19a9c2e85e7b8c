"""The store of a tournament: one SQLite file, one writer, every finished match durable.

A match is committed in a transaction of its own before the next one is asked for, with a rollback
journal and full synchronisation, so that neither a killed process nor a power cut loses or damages
a finished match. A second writer is refused by a lock of the operating system, which vanishes with
its process however that ends.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

from stackelberg_games.errors import StoreError
from stackelberg_games.tournaments.match import Outcome

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FILE, LOCK = "results.sqlite", "results.lock"
_FORMAT = 1
_SCHEMA = """
CREATE TABLE matches (
    key TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    outcome TEXT NOT NULL,
    cpu_seconds REAL NOT NULL,
    wall_seconds REAL NOT NULL,
    finished TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) WITHOUT ROWID;
CREATE TABLE plans (number INTEGER PRIMARY KEY, plan TEXT NOT NULL UNIQUE);
"""
_CHUNK = 500


class Store:
    """Outcomes of matches by key, and the plans of the tournaments that asked for them.

    Args:
        folder: holds the database; made where it is missing and ``write`` is true.
        write: whether to write; only one process at a time may.

    Raises:
        StoreError: the folder cannot be used, the file is not a store of this version, or another
            process is writing to it.
    """

    def __init__(self, folder: str | Path, *, write: bool = False) -> None:
        self.folder = Path(folder)
        self.file = self.folder / FILE
        self._lock: IO[str] | None = None
        self._connection: sqlite3.Connection | None = None
        if write:
            self._claim()
        elif not self.file.is_file():
            raise StoreError(f"{self.folder} holds no results ({FILE} is missing)")
        try:
            with self._errors("open"):
                self._connection = self._open(write)
        except StoreError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file and the right to write."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def put(self, key: str, outcome: Outcome) -> None:
        """Store a match; on return it is on disk.

        Raises:
            StoreError: it could not be written; everything stored before is safe.
        """
        row = (key, outcome.status, outcome.to_json(), outcome.cpu_seconds, outcome.wall_seconds)
        columns = "key, status, outcome, cpu_seconds, wall_seconds"
        with self._errors("write to"):
            self._db.execute(f"INSERT OR REPLACE INTO matches ({columns}) VALUES (?, ?, ?, ?, ?)", row)

    def statuses(self) -> dict[str, str]:
        """Status of every stored match by key."""
        with self._errors("read"):
            return dict(self._db.execute("SELECT key, status FROM matches"))

    def outcomes(self, keys: Iterable[str]) -> dict[str, Outcome]:
        """The stored outcomes among ``keys``."""
        wanted, found = list(keys), {}
        with self._errors("read"):
            for start in range(0, len(wanted), _CHUNK):
                part = wanted[start : start + _CHUNK]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, outcome, cpu_seconds, wall_seconds FROM matches WHERE key IN ({marks})"
                for key, text, cpu, wall in self._db.execute(query, part):
                    found[key] = Outcome.from_json(text, cpu, wall)
        return found

    def add_plan(self, plan: Mapping[str, Any]) -> None:
        """Keep a plan as the latest one."""
        text = json.dumps(plan, separators=(",", ":"))
        with self._errors("write to"):
            self._db.execute("INSERT OR REPLACE INTO plans (plan) VALUES (?)", (text,))

    def latest_plan(self) -> dict[str, Any]:
        """The plan that was added last.

        Raises:
            StoreError: there is none.
        """
        with self._errors("read"):
            row = self._db.execute("SELECT plan FROM plans ORDER BY number DESC LIMIT 1").fetchone()
        if row is None:
            raise StoreError(f"{self.file} holds no tournament yet")
        plan: dict[str, Any] = json.loads(row[0])
        return plan

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"{self.file} is closed")
        return self._connection

    def _open(self, write: bool) -> sqlite3.Connection:
        mode = "rwc" if write else "rw"  # a reader too must be able to roll back what a kill cut short
        address = f"{self.file.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(address, uri=True, timeout=30.0, isolation_level=None)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            empty = not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            if write:
                connection.execute("PRAGMA journal_mode = DELETE")
                connection.execute("PRAGMA synchronous = FULL")
            else:
                connection.execute("PRAGMA query_only = ON")
            if write and empty:
                connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_FORMAT}; COMMIT;")
            elif version != _FORMAT:
                raise StoreError(f"{self.file} is not a store of this version (format {version}, expected {_FORMAT})")
        except BaseException:
            connection.close()
            raise
        return connection

    def _claim(self) -> None:
        """Take the lock that only one process can hold."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = open(self.folder / LOCK, "a+")  # noqa: SIM115 held as long as the store is open
        except OSError as error:
            raise StoreError(f"cannot write to {self.folder}: {error.strerror or error}") from error
        if not _try_lock(lock):
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            lock.close()
            raise StoreError(
                f"{self.folder} is in use: {holder} is writing to it; wait for it or choose another folder"
            )
        self._lock = lock
        try:
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}")
            lock.flush()
        except OSError:
            pass  # a full disk: the lock holds without a name, and writing results will tell

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            safe = "; every match stored before is safe, a rerun continues" if doing == "write to" else ""
            raise StoreError(f"cannot {doing} {self.file}: {error}{safe}") from error


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

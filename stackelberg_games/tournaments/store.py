"""The store of a tournament: one SQLite file, one writer, every finished match durable, every row sealed.

Matches that finished together are committed together before any of them counts as done, with a rollback
journal, full synchronisation and the folder synchronised after it, so that neither a killed process nor a
power cut loses or damages a match that was reported. A second writer is refused by a lock of the operating system,
which vanishes with its process however that ends.

Every row carries the SHA-256 of what it holds, and a ledger holds how many rows there are and the sum of
their digests. Both are verified when the store is opened: a row that was altered, and rows that are gone, are
reported, and played again where that is asked for.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from stackelberg_games import checks, files
from stackelberg_games.errors import StoreError
from stackelberg_games.tournaments.match import Outcome

FILE, LOCK, PLAYING = "results.sqlite", "results.lock", "results.playing"
DAMAGED = "results.damaged.sqlite"
"""A copy of a damaged store, from before its matches were played again."""
FORMAT = 2
_SCHEMA = """
CREATE TABLE matches (
    key TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    status TEXT NOT NULL,
    cpu_seconds REAL NOT NULL,
    wall_seconds REAL NOT NULL,
    outcome TEXT NOT NULL,
    finished TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) WITHOUT ROWID;
CREATE TABLE plans (number INTEGER PRIMARY KEY, digest TEXT NOT NULL, plan TEXT NOT NULL);
CREATE TABLE ledger (entry INTEGER PRIMARY KEY, rows INTEGER NOT NULL, digest TEXT NOT NULL);
INSERT INTO ledger VALUES (0, 0, '0000000000000000000000000000000000000000000000000000000000000000');
"""
_MATCHES = "SELECT key, digest, status, cpu_seconds, wall_seconds, outcome FROM matches"
_PLANS = "SELECT number, digest, plan FROM plans"
_CHUNK = 500
StoredRow = tuple[Any, ...]

_FAULTS = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite's module raises; its messages may quote damaged bytes, which it then fails to decode."""


class _Ledger(NamedTuple):
    """How many rows a store holds, and their digests combined by exclusive or."""

    rows: int = 0
    combined: int = 0

    def plus(self, digest: bytes | str) -> _Ledger:
        return _Ledger(self.rows + 1, self.combined ^ int(digest, 16))

    def minus(self, digest: bytes | str) -> _Ledger:
        return _Ledger(self.rows - 1, self.combined ^ int(digest, 16))

    @property
    def row(self) -> tuple[int, str]:
        """As it is stored."""
        return self.rows, f"{self.combined:064x}"


class Store:
    """Outcomes of matches by key, and the plans of the tournaments that asked for them.

    Args:
        folder: holds the database; made where it is missing and ``write`` is true.
        write: whether to write; only one process at a time may.
        replay_damaged: whether damaged rows are left out, so that their matches are played again, instead
            of raising; needs ``write``. The damaged file is kept as ``results.damaged.sqlite``.

    Attributes:
        interrupted: key of the match in which an earlier run died, or empty.

    Raises:
        StoreError: the folder cannot be used, the file is not a store of this version or is damaged, or
            another process is writing to it.
    """

    def __init__(self, folder: str | Path, *, write: bool = False, replay_damaged: bool = False) -> None:
        self.folder = checks.path("store", folder)
        self.file = self.folder / FILE
        self._lock: files.FolderLock | None = None
        self._connection: sqlite3.Connection | None = None
        self._ledger = _Ledger()
        self.interrupted = ""
        if write:
            self._lock = files.FolderLock(self.folder, LOCK, StoreError)
            with suppress(OSError, ValueError):
                self.interrupted = (self.folder / PLAYING).read_text(encoding="ascii")
        elif not self.file.is_file():
            raise StoreError(f"{self.folder} holds no results ({FILE} is missing)")
        try:
            with self._errors("open"):
                self._connection = self._open(self.file, write)
                self._verify(write and checks.flag("replay_damaged", replay_damaged))
        except BaseException:
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
            with suppress(OSError):
                (self.folder / PLAYING).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def put(self, key: str, outcome: Outcome) -> None:
        """Store a match; on return it is on disk.

        Raises:
            StoreError: it could not be written; everything stored before is safe.
        """
        self.put_all([(key, outcome)])

    def put_all(self, outcomes: Iterable[tuple[str, Outcome]]) -> None:
        """Store matches, all of them or none; on return they are on disk.

        Raises:
            StoreError: see ``put``.
        """
        with self._errors("write to"), self._transaction():
            for key, outcome in outcomes:
                self._put(key, outcome.status, outcome.cpu_seconds, outcome.wall_seconds, outcome.to_json())

    def begin(self, key: str) -> None:
        """Note which match is played in this process; where that dies, the next run finds it as ``interrupted``.

        Raises:
            StoreError: the folder cannot be written to.
        """
        with self._errors("write to"):
            (self.folder / PLAYING).write_text(key, encoding="ascii")

    def statuses(self) -> dict[str, str]:
        """Status of every stored match by key."""
        with self._errors("read"):
            rows = self._db.execute("SELECT key, status FROM matches")
            return {key.decode(): status.decode() for key, status in rows}

    def outcomes(self, keys: Iterable[str]) -> dict[str, Outcome]:
        """The stored outcomes among ``keys``.

        Raises:
            StoreError: one of them is damaged.
        """
        wanted, found = list(keys), {}
        with self._errors("read"):
            for start in range(0, len(wanted), _CHUNK):
                part = wanted[start : start + _CHUNK]
                marks = ",".join("?" * len(part))
                for row in self._db.execute(f"{_MATCHES} WHERE key IN ({marks})", part):
                    if not _sound_match(row):
                        raise StoreError(f"{self.file}: a match was damaged while the store was open")
                    found[row[0].decode()] = Outcome.from_json(row[5], row[3], row[4])
        return found

    def add_plan(self, plan: Mapping[str, Any]) -> None:
        """Keep a plan as the latest one."""
        with self._errors("write to"), self._transaction():
            self._add_plan(json.dumps(plan, separators=(",", ":")))

    def latest_plan(self) -> dict[str, Any]:
        """The plan that was added last.

        Raises:
            StoreError: there is none.
        """
        with self._errors("read"):
            row = self._db.execute(f"{_PLANS} ORDER BY number DESC LIMIT 1").fetchone()
        if row is None:
            raise StoreError(f"{self.file} holds no tournament yet")
        plan: dict[str, Any] = files.parse_json(row[2], f"the plan in {self.file}", StoreError)
        return plan

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"{self.file} is closed")
        return self._connection

    def _open(self, file: Path, write: bool) -> sqlite3.Connection:
        if write:
            files.create(file)
        mode = "rwc" if write else "rw"  # a reader too must be able to roll back what a kill cut short
        address = f"{file.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(address, uri=True, timeout=30.0, isolation_level=None)
        connection.text_factory = bytes  # damaged texts are no texts
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            empty = not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            if write:
                connection.execute("PRAGMA journal_mode = DELETE")
                connection.execute("PRAGMA synchronous = EXTRA")  # the folder too, once the journal is gone
            else:
                connection.execute("PRAGMA query_only = ON")
            if write and empty:
                connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
            elif version != FORMAT:
                raise StoreError(
                    f"{file} is not a store of this version (format {version}, expected {FORMAT}); read it with the "
                    "version of stackelberg-games that wrote it, or choose another folder"
                )
        except BaseException:
            connection.close()
            raise
        return connection

    def _put(self, key: str, *facts: Any) -> None:
        """Store a match within a transaction; the facts are what its digest covers."""
        before = self._db.execute("SELECT digest FROM matches WHERE key = ?", (key,)).fetchone()
        digest = _digest(key, *facts)
        columns = "key, digest, status, cpu_seconds, wall_seconds, outcome"
        self._db.execute(f"INSERT OR REPLACE INTO matches ({columns}) VALUES (?, ?, ?, ?, ?, ?)", (key, digest, *facts))
        self._write_ledger((self._ledger if before is None else self._ledger.minus(before[0])).plus(digest))

    def _add_plan(self, text: str) -> None:
        """Store a plan within a transaction, in place of an equal one."""
        ledger = self._ledger
        for old in self._db.execute(f"{_PLANS} WHERE plan = ?", (text,)).fetchall():
            self._db.execute("DELETE FROM plans WHERE number = ?", old[:1])
            ledger = ledger.minus(old[1])
        number = self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM plans").fetchone()[0]
        digest = _digest(number, text)
        self._db.execute("INSERT INTO plans VALUES (?, ?, ?)", (number, digest, text))
        self._write_ledger(ledger.plus(digest))

    def _write_ledger(self, ledger: _Ledger) -> None:
        self._db.execute("UPDATE ledger SET rows = ?, digest = ?", ledger.row)
        self._ledger = ledger

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, within another transaction too; the ledger in memory goes back with the file's."""
        before = self._ledger
        self._db.execute("SAVEPOINT whole")
        try:
            yield
            self._db.execute("RELEASE whole")
        except BaseException:
            self._ledger = before
            with suppress(*_FAULTS):  # SQLite may have rolled it back by itself
                self._db.execute("ROLLBACK TO whole")
                self._db.execute("RELEASE whole")
            raise

    def _verify(self, replay_damaged: bool) -> None:
        """Hold every row against its digest, and all of them against the ledger."""
        ledger, damaged = _Ledger(), []
        try:
            with self._transaction():  # one state of the file, whoever is writing to it
                for query, sound in ((_MATCHES, _sound_match), (_PLANS, _sound_plan)):
                    for row in self._db.execute(query):
                        if sound(row):
                            ledger = ledger.plus(row[1])
                        else:
                            damaged.append(f"the row {checks.shown(row[0])}")
                kept = self._db.execute("SELECT rows, digest FROM ledger").fetchall()
            if not damaged and kept != [(ledger.rows, ledger.row[1].encode())]:
                damaged.append("rows are missing, or the ledger was altered")
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if isinstance(error, sqlite3.OperationalError) and "lock" in str(error):
                raise
            damaged.append(str(error))
        self._ledger = ledger
        if damaged and not replay_damaged:
            raise StoreError(
                f"{self.file} is damaged ({len(damaged)} found; the first: {damaged[0]}); with replay_damaged=True "
                "(--replay-damaged) a tournament keeps the sound matches and plays the others again"
            )
        if damaged:
            self._rebuild()

    def _rebuild(self) -> None:
        """Replace the file by one that holds its sound rows; the damaged one is kept beside it."""
        matches, plans = _salvaged(self._db, _MATCHES, "key", _sound_match), []
        with suppress(*_FAULTS):
            plans = _salvaged(self._db, _PLANS, "number", _sound_plan)
        self._db.close()
        files.write_atomically(self.folder / DAMAGED, self.file.read_bytes())
        new = self.folder / f"{FILE}.new"
        new.unlink(missing_ok=True)
        self._ledger, self._connection = _Ledger(), self._open(new, True)
        with self._transaction():
            for key, _, status, cpu, wall, outcome in matches:
                self._put(key.decode(), status.decode(), cpu, wall, outcome.decode())
            for _, _, plan in plans:
                self._add_plan(plan.decode())
        self._db.close()
        os.replace(new, self.file)
        files.sync_folder(self.folder)
        self._connection = self._open(self.file, True)

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (*_FAULTS, OSError) as error:
            safe = "; every match stored before is safe, a rerun continues" if doing == "write to" else ""
            raise StoreError(f"cannot {doing} {self.file}: {error}{safe}") from error


def _digest(*parts: Any) -> str:
    """SHA-256 of what a row holds, in hexadecimal; a text may be given as bytes."""
    plain = (part if isinstance(part, bytes) else str(part).encode() for part in parts)
    return hashlib.sha256(b"\0".join(plain)).hexdigest()


def _sound_match(row: StoredRow) -> bool:
    key, digest, status, cpu, wall, outcome = row
    return _is_sound(digest, key, status, cpu, wall, outcome)


def _sound_plan(row: StoredRow) -> bool:
    number, digest, plan = row
    return _is_sound(digest, number, plan)


def _is_sound(digest: Any, *parts: Any) -> bool:
    try:
        return bool(digest == _digest(*parts).encode())
    except (TypeError, ValueError):  # not even the types are right
        return False


def _salvaged(
    connection: sqlite3.Connection, query: str, order: str, sound: Callable[[StoredRow], bool]
) -> list[StoredRow]:
    """The sound rows that can be read, from both ends of a table that may be broken between them."""
    found: dict[Any, StoredRow] = {}
    for direction in ("ASC", "DESC"):
        with suppress(*_FAULTS):
            for row in connection.execute(f"{query} ORDER BY {order} {direction}"):
                if sound(row):
                    found[row[0]] = row
    return [found[name] for name in sorted(found)]

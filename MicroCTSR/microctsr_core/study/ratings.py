"""The ratings: an SQLite database to which lines are added and in which none is ever changed.

Each time that a rater changes something in a trial, all that the rater says of it is stored as its
next revision; the last one counts. A revision that comes twice, because the answer to the first
was lost, is stored once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ..errors import MicroCTSRError, ReadError, WriteError
from .protocol import STARS

_STARS = range(1, STARS + 1)
_WAIT_S = 20.0  # for another rater's rating that is being written
_SCHEMA = """
CREATE TABLE study (id TEXT NOT NULL, closed_at TEXT, criteria TEXT);
CREATE TABLE ratings (
    rater INTEGER NOT NULL,
    trial INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    image TEXT NOT NULL,
    stars TEXT NOT NULL,
    remark TEXT NOT NULL,
    given_at TEXT NOT NULL,
    PRIMARY KEY (rater, trial, revision)
) WITHOUT ROWID;
"""


class StudyClosedError(MicroCTSRError):
    """A rating that comes after its study was closed."""


class ConflictError(MicroCTSRError):
    """A revision that another one has taken the place of: the trial is open in two windows."""


@dataclass(frozen=True)
class Rating:
    """What a rater says of a trial.

    Args:
        stars: 1 to 6 for each criterion; ``None`` where none are given yet.
        remark: in the rater's words; may be empty.
        revision: 1 for the first, one more each time that the rater changes something.
        image: name of the image that was rated.
        given_at: time in UTC, ISO 8601; empty before it is stored.
    """

    stars: tuple[int | None, ...]
    remark: str
    revision: int
    image: str
    given_at: str = ""

    @property
    def complete(self) -> bool:
        """Whether stars are given for every criterion."""
        return None not in self.stars


class Ratings:
    """The database of a study.

    Each call opens the file and closes it again: whatever ends the process, nothing that a call
    has returned from is lost, and a file that was moved away is noticed.

    Args:
        path: of the file.
        study: identifier of the study that it has to belong to.
    """

    def __init__(self, path: Path, study: str) -> None:
        self.path, self.study = path, study

    def create(self) -> None:
        """Make the file.

        Raises:
            WriteError: it cannot be written.
        """
        try:
            with closing(sqlite3.connect(self.path)) as connection, connection:
                connection.executescript(_SCHEMA)
                connection.execute("INSERT INTO study (id) VALUES (?)", (self.study,))
        except sqlite3.Error as error:
            raise WriteError(f"{self.path} cannot be written ({error}).") from error

    def check(self, criteria: Sequence[str]) -> None:
        """Make sure that ratings can be stored, and that they answer the same questions as before.

        Args:
            criteria: their names. They may be changed until the first rating.

        Raises:
            ReadError: the file is missing, damaged, or belongs to another study.
            WriteError: it or its folder cannot be written.
            MicroCTSRError: the criteria are not those of the ratings given so far.
        """
        with self._opened(write=True) as connection:
            self._check_criteria(connection, criteria)
            # Also where nothing changes: it shows whether the folder can be written.
            connection.execute("UPDATE study SET criteria = ?", (_as_text(criteria),))

    def check_criteria(self, criteria: Sequence[str]) -> None:
        """Make sure that the ratings given so far answer these questions; nothing is written.

        Raises:
            MicroCTSRError: the criteria are others.
            ReadError: as :meth:`check`.
        """
        with self._opened() as connection:
            self._check_criteria(connection, criteria)

    def _check_criteria(self, connection: sqlite3.Connection, criteria: Sequence[str]) -> None:
        (before,) = connection.execute("SELECT criteria FROM study").fetchone()
        rated = connection.execute("SELECT 1 FROM ratings LIMIT 1").fetchone() is not None
        if rated and before is not None and before != _as_text(criteria):
            raise MicroCTSRError(
                f"{self.path} holds ratings by {_listed(json.loads(before))}, but the criteria "
                f"are now {_listed(criteria)}; write the former names into criteria.txt again."
            )

    def store(self, rater: int, trial: int, rating: Rating) -> Rating:
        """Store a revision; once this returns, it is on the disk.

        A revision that is there already, with the same content, is left as it is.

        Returns:
            what is stored, with the time at which it first was.

        Raises:
            StudyClosedError: no more ratings are taken.
            ConflictError: another revision of the trial has that number, or the one before it is
                missing.
            MicroCTSRError: as :meth:`check`.
        """
        with self._opened(write=True) as connection:
            found = self._last(connection, rater, trial)
            last = 0 if found is None else found.revision
            if rating.revision <= last:
                same = self._revision(connection, rater, trial, rating.revision)
                if same is not None and _same(same, rating):
                    return same
            if self._closed_at(connection):
                raise StudyClosedError("This study is closed; no more ratings are taken.")
            if rating.revision != last + 1:
                raise ConflictError("This pair was rated in another window in the meantime.")
            now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            connection.execute(
                "INSERT INTO ratings VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    rater,
                    trial,
                    rating.revision,
                    rating.image,
                    json.dumps(rating.stars),
                    rating.remark,
                    now,
                ),
            )
        return Rating(rating.stars, rating.remark, rating.revision, rating.image, now)

    def last(self, rater: int) -> dict[int, Rating]:
        """What a rater says last of each trial that he or she has rated."""
        with self._opened() as connection:
            rows = connection.execute(
                "SELECT trial, revision, image, stars, remark, given_at, MAX(revision) "
                "FROM ratings WHERE rater = ? GROUP BY trial",
                (rater,),
            )
            found = {trial: _rating(*values) for trial, *values, _ in rows}
            if not all(isinstance(trial, int) for trial in found):
                raise ValueError("a trial that is no number")
            return found

    def close(self) -> None:
        """Take no more ratings. A study that is closed stays so."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        with self._opened(write=True) as connection:
            connection.execute("UPDATE study SET closed_at = COALESCE(closed_at, ?)", (now,))

    def closed_at(self) -> str | None:
        """When the study was closed; ``None`` while it is open."""
        with self._opened() as connection:
            return self._closed_at(connection)

    @contextmanager
    def _opened(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction in the file, whose changes are on the disk when the block has ended."""
        if not self.path.is_file():
            raise ReadError(
                f"{self.path} is not there; put the study's folder back, or name its new place."
            )
        try:
            # For reading too: what a process that was killed left half done is undone first.
            uri = f"{self.path.absolute().as_uri()}?mode=rw"
            with closing(
                sqlite3.connect(uri, uri=True, timeout=_WAIT_S, isolation_level=None)
            ) as connection:
                connection.execute("PRAGMA synchronous = EXTRA")
                connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                (owner,) = connection.execute("SELECT id FROM study").fetchone() or ("",)
                if owner != self.study:
                    raise ReadError(
                        f"{self.path} belongs to another study; put this study's own ratings there."
                    )
                yield connection
                connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                raise ReadError(_not_ratings(self.path)) from None
            if "locked" in str(error):
                raise WriteError(
                    f"{self.path} is held by another program; close it there, and try again."
                ) from None
            raise WriteError(
                f"{self.path} cannot be {'written' if write else 'read'} ({error}); make its "
                f"folder writable, or copy the study to a folder that is."
            ) from error
        except (sqlite3.DatabaseError, ValueError, TypeError, RecursionError):
            raise ReadError(_not_ratings(self.path)) from None

    @staticmethod
    def _closed_at(connection: sqlite3.Connection) -> str | None:
        (closed_at,) = connection.execute("SELECT closed_at FROM study").fetchone()
        return None if closed_at is None else str(closed_at)

    @staticmethod
    def _revision(
        connection: sqlite3.Connection, rater: int, trial: int, revision: int
    ) -> Rating | None:
        row = connection.execute(
            "SELECT revision, image, stars, remark, given_at FROM ratings "
            "WHERE rater = ? AND trial = ? AND revision = ?",
            (rater, trial, revision),
        ).fetchone()
        return None if row is None else _rating(*row)

    @classmethod
    def _last(cls, connection: sqlite3.Connection, rater: int, trial: int) -> Rating | None:
        (revision,) = connection.execute(
            "SELECT MAX(revision) FROM ratings WHERE rater = ? AND trial = ?", (rater, trial)
        ).fetchone()
        return None if revision is None else cls._revision(connection, rater, trial, revision)


def _rating(revision: object, image: object, stars: object, remark: object, at: object) -> Rating:
    """A row of the database.

    Raises:
        ValueError: it holds what no server has written.
    """
    given = json.loads(stars) if isinstance(stars, str) else None
    if not isinstance(given, list) or not isinstance(revision, int):
        raise ValueError("a rating without stars")
    if not all(star is None or star in _STARS for star in given):
        raise ValueError("a rating that is none")
    if not (isinstance(image, str) and isinstance(remark, str) and isinstance(at, str)):
        raise ValueError("a rating without its texts")
    return Rating(tuple(given), remark, revision, image, at)


def _same(first: Rating, second: Rating) -> bool:
    return (first.stars, first.remark, first.image) == (second.stars, second.remark, second.image)


def _not_ratings(path: Path) -> str:
    return f"{path} is no database of ratings, or is damaged; put a copy of it in its place."


def _as_text(criteria: Sequence[str]) -> str:
    return json.dumps(list(criteria), ensure_ascii=False)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)

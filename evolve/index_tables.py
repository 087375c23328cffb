"""The tables of a run's index: made where they are missing, damaged or of another version. Knows no record."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

from evolve.errors import RunError
from evolve.journal import GENESIS

LOCK_WAIT_S = 20.0
TABLES = """
CREATE TABLE state (bytes INTEGER, last INTEGER, number INTEGER, hash TEXT, written INTEGER,
  champion INTEGER, refused INTEGER, ended TEXT);
CREATE TABLE candidates (number INTEGER PRIMARY KEY, commit_id TEXT UNIQUE, parent INTEGER, parents TEXT,
  technique TEXT, persona TEXT, move TEXT, proposed INTEGER, judged INTEGER, kind TEXT, reason TEXT, rung TEXT,
  gain REAL, error REAL);
CREATE TABLE looks (number INTEGER, against INTEGER, promoted INTEGER, verdict TEXT);
CREATE TABLE promotions (number INTEGER PRIMARY KEY, place INTEGER, against INTEGER, verdict TEXT);
CREATE TABLE reviews (kind TEXT, body TEXT, at REAL);
CREATE TABLE others (kind TEXT, at INTEGER);
"""
VERSION = zlib.crc32(TABLES.encode()) >> 1
"""Of the tables; a file of another version is made again."""


def opened(file: Path) -> sqlite3.Connection:
    """The file, or tables in memory where the folder can't be written; a damaged file is made again."""
    for place in (str(file), str(file), ":memory:"):
        try:
            tables = sqlite3.connect(place, timeout=LOCK_WAIT_S, isolation_level=None)
            if tables.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                with tables:
                    tables.execute("BEGIN IMMEDIATE")
                    emptied(tables)
        except sqlite3.OperationalError:
            continue
        except sqlite3.DatabaseError:
            file.unlink(missing_ok=True)
            continue
        return tables
    raise RunError(f"SQLite can't open {file}")


def emptied(tables: sqlite3.Connection) -> None:
    """Makes empty tables, within the transaction that is open."""
    for (name,) in tables.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        tables.execute(f"DROP TABLE {name}")
    for line in filter(str.strip, TABLES.split(";")):
        tables.execute(line)
    tables.execute("INSERT INTO state VALUES (0, 0, 0, ?, 0, 0, 0, '')", (GENESIS,))
    tables.execute(f"PRAGMA user_version = {VERSION}")

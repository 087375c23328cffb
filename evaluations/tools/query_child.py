"""Answers one hostile SELECT in a process of its own: reads a question on stdin, writes the answer on stdout, ends.

Run as a file, isolated, with an empty environment. Imports nothing of ours. First the data are copied into tables in
memory, then every way out of DuckDB is shut and the shut is locked, and only then the query is read. Limits of memory,
processor time and written bytes hold for the whole process, since DuckDB's own do not count every allocation.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
LOCKS = (
    "enable_external_access=false",
    "autoinstall_known_extensions=false",
    "autoload_known_extensions=false",
    "allow_community_extensions=false",
    "python_enable_replacements=false",
    "max_temp_directory_size='0B'",
    "lock_configuration=true",
)


class Refused(Exception):
    """The query asks for what no query may have."""


def main() -> None:
    """One question, one answer."""
    asked = json.load(sys.stdin)
    limit(asked["memory_bytes"], asked["cpu_s"])
    try:
        answer = answered(asked)
    except Refused as refusal:
        answer = {"error": str(refusal)}
    except MemoryError:
        answer = {"error": "it needs too much memory"}
    json.dump(answer, sys.stdout)


def limit(memory_bytes: int, cpu_s: int) -> None:
    """Binds this process for good."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answered(asked: dict[str, Any]) -> dict[str, Any]:
    """The first rows of the answer. Raises Refused."""
    import duckdb

    sql, most = asked["sql"], asked["rows"]
    connection = duckdb.connect(":memory:", config={"threads": 1})
    fill(connection, asked)
    connection.execute(f"SET memory_limit='{asked['memory_bytes'] // 4}B'")
    for lock in LOCKS:
        connection.execute(f"SET {lock}")
    clock = threading.Timer(asked["seconds"], connection.interrupt)
    clock.daemon = True
    clock.start()
    try:
        check(connection, sql, frozenset({"training", *asked["tables"]}))
        found = connection.execute(sql)
        names = [str(column[0]) for column in found.description or ()]
        rows = found.fetchmany(most + 1)
    except UnicodeError as error:
        raise Refused("the query is not text") from error
    except duckdb.InterruptException as error:
        raise Refused(f"it takes longer than {asked['seconds']:.0f} s; join less, group earlier") from error
    except duckdb.Error as error:
        raise Refused(str(error).split("\n")[0]) from error
    finally:
        clock.cancel()
    shown = [[None if cell is None else str(cell) for cell in row] for row in rows[:most]]
    return {"columns": names, "rows": shown, "more": len(rows) > most}


def fill(connection: Any, asked: dict[str, Any]) -> None:
    """Copies the training split and the other tables into memory."""
    import numpy as np

    folder, arrays = Path(asked["folder"]), {}
    columns: dict[str, Any] = {}
    for name, (file, place, by_offsets) in asked["training"].items():
        if file not in arrays:
            arrays[file] = np.load(folder / file, mmap_mode="r", allow_pickle=False)
        array = arrays[file]
        if by_offsets:
            columns[name] = np.repeat(np.arange(len(array) - 1), np.diff(array))
        else:
            columns[name] = np.ascontiguousarray(array if place is None else array[:, place])
    connection.register("given", columns)
    connection.execute("CREATE TABLE training AS SELECT * FROM given")
    connection.unregister("given")
    for table, (definition, rows) in asked["tables"].items():
        connection.execute(f"CREATE TABLE {table} ({definition})")
        if rows:
            insert(connection, table, [part.split() for part in definition.split(", ")], rows)


def insert(connection: Any, table: str, columns: list[list[str]], rows: list[list[Any]]) -> None:
    """All rows at once, as columns; a number that is missing is NULL, not NaN, which would sort first."""
    import numpy as np

    given: dict[str, Any] = {}
    taken: list[str] = []
    for place, (name, kind) in enumerate(columns):
        values = [row[place] for row in rows]
        is_text = kind == "VARCHAR"
        given[name] = np.array(values, dtype=object if is_text else np.float64)
        taken.append(name if is_text else f"CAST(CASE WHEN isnan({name}) THEN NULL ELSE {name} END AS {kind})")
    connection.register("given", given)
    connection.execute(f"INSERT INTO {table} SELECT {', '.join(taken)} FROM given")  # noqa: S608 - our own names
    connection.unregister("given")


def check(connection: Any, sql: str, tables: frozenset[str]) -> None:
    """One SELECT over our tables: read from DuckDB's own parse of it, not from the text."""
    parsed = json.loads(connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()[0])
    if parsed["error"]:
        raise Refused(f"only one SELECT is answered ({parsed.get('error_message', 'it does not parse')})")
    if len(parsed["statements"]) != 1:
        raise Refused(f"one SELECT at a time, not {len(parsed['statements'])}")
    nodes = list(walk(parsed))
    named = {entry["key"].lower() for node in nodes for entry in node.get("cte_map", {}).get("map", ())}
    for node in nodes:
        if node.get("type") == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name", "")).lower()
            if name not in TABLE_FUNCTIONS:
                raise Refused(
                    f"the table function `{name}` may not be used; there are {', '.join(sorted(TABLE_FUNCTIONS))}"
                )
        if node.get("type") == "BASE_TABLE":
            name = str(node.get("table_name", "")).lower()
            if node.get("schema_name") or node.get("catalog_name") or name not in tables | named:
                raise Refused(f"there is no table `{name}`; there are {', '.join(sorted(tables))}")


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a JSON value."""
    queue = [value]
    while queue:
        one = queue.pop()
        if isinstance(one, dict):
            yield one
            queue += one.values()
        elif isinstance(one, list):
            queue += one


if __name__ == "__main__":
    main()

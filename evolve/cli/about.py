"""Commands about the installation: spaces, techniques, data, doctor."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from evolve.cli.printing import console, print_json, print_table, safe
from evolve.config import DEFAULT_SPACE, cache_folder

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY")
LOW_DISK_BYTES = 2 << 30

data = typer.Typer(help="Data sets: list, get, import.", no_args_is_help=True)


def spaces(json: Json = False) -> None:
    """The search spaces that can be run."""
    from search_spaces.space import names

    found = names()
    if json:
        print_json([{"name": name, "summary": summary} for name, summary in found.items()])
        return
    rows = [[f"{name}{' (default)' if name == DEFAULT_SPACE else ''}", safe(text)] for name, text in found.items()]
    print_table("", ("space", "what is improved"), rows)


def techniques(
    space: Annotated[str, typer.Option(help="The search space.")] = DEFAULT_SPACE, json: Json = False
) -> None:
    """The catalogue of a space: each technique with its paper and where it applies."""
    from search_spaces.space import load

    cards = load(space).techniques
    if json:
        keys = ("name", "persona", "title", "paper", "hypothesis", "mechanism")
        rest = [{"edits": _where(c.edits), "requires": c.requires, "excludes": c.excludes} for c in cards]
        print_json([{**{k: getattr(c, k) for k in keys}, **more} for c, more in zip(cards, rest, strict=True)])
        return
    rows = [[c.name, str(c.persona), safe(c.title), safe(", ".join(_where(c.edits))), safe(c.paper)] for c in cards]
    print_table(f"{len(cards)} techniques of {space}", ("name", "persona", "what", "where", "paper"), rows)


def _where(edits: tuple[object, ...]) -> list[str]:
    places = (f"{getattr(e, 'path', '')}::{getattr(e, 'anchor', '')}".rstrip(":") for e in edits)
    return list(dict.fromkeys(places))


@data.command("list")
def data_list(json: Json = False) -> None:
    """The data sets at hand."""
    from evaluations.datasets_store import available, load

    folder = cache_folder() / "data"
    found = [load(name, folder) for name in available(folder)]
    if json:
        print_json([{"name": d.name, "events": len(d.items), "digest": d.digest} for d in found])
        return
    if not found:
        console().print("no data set is at hand; fetch one: evolve data get ml-100k")
    else:
        print_table("", ("name", "events", "sha256"), [[safe(d.name), str(len(d.items)), d.digest[:12]] for d in found])


@data.command("get")
def data_get(name: Annotated[str, typer.Argument(help="ml-100k")]) -> None:
    """Fetches a public data set, checks it, keeps it in the cache, and prints its licence."""
    from evaluations.datasets import fetch

    kept = fetch(name, cache_folder() / "data", report=print)
    console().print(f"{safe(kept.name)}: {len(kept.items)} events, sha256 {kept.digest[:12]}")


@data.command("import")
def data_import(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    path: Annotated[Path, typer.Argument(help="CSV, TSV, Parquet or RecBole .inter; one row an event.")],
    user: Annotated[str, typer.Option(help="The column of user ids.")] = "",
    item: Annotated[str, typer.Option(help="The column of item ids.")] = "",
    time: Annotated[str, typer.Option(help="The column to order by.")] = "",
) -> None:
    """Takes a file of your own into the cache."""
    from evaluations.datasets import import_file

    kept = import_file(name, path, cache_folder() / "data", user=user or None, item=item or None, time=time or None)
    console().print(f"{safe(kept.name)}: {len(kept.items)} events; use it with --space next_item --data {safe(name)}")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor."""

    what: str
    state: Literal["ok", "note", "missing"]
    found: str
    do: str = ""


def doctor(json: Json = False) -> None:
    """Looks at what evolve needs; each line says what to do. Exit code 1 where something needed is missing."""
    found = list(_examine())
    if json:
        print_json([{"what": f.what, "state": f.state, "found": f.found, "do": f.do} for f in found])
    else:
        colours = {"ok": "green", "note": "yellow", "missing": "bold red"}
        rows = [[f"[{colours[f.state]}]{f.state}[/]", f.what, safe(f.found), safe(f.do)] for f in found]
        print_table("", ("", "", "found", "what to do"), rows)
    if any(f.state == "missing" for f in found):
        raise typer.Exit(1)


def _examine() -> Generator[Finding]:
    yield from (_git(), _torch(), *_sandboxes(), _disk(), _key(), *_data_sets())
    cores = len(os.sched_getaffinity(0))
    yield Finding("cores", "ok", f"{cores}: `evolve start` uses {min(8, cores)} workers of one thread each")
    yield _ahead(min(8, cores))


def _ahead(workers: int) -> Finding:
    """The bound of the warm pool, in workers and in memory."""
    from sandbox.ahead import IDLE_WORKER_BYTES
    from sandbox.choose import started_ahead

    each, count = IDLE_WORKER_BYTES, started_ahead(workers)
    found = f"at most {count} idle, {each >> 20} MiB each, {count * each / 2**30:.1f} GiB in all"
    none = f"none: every core has a worker; with fewer --workers one for each idle core ({each >> 20} MiB each)"
    return Finding("started ahead", "ok", found if count else none)


def _git() -> Finding:
    where = shutil.which("git")
    if where:
        return Finding("git", "ok", where)
    return Finding("git", "missing", "not on PATH", "apt-get install git")


def _torch() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("torch", "missing", "not installed", "pip install 'torch>=2.6,<2.14'")
    from importlib import metadata

    return Finding("torch", "ok", metadata.version("torch"))


def _sandboxes() -> Generator[Finding]:
    """Every sandbox; the first that is at hand is the one that `auto` takes."""
    from sandbox.choose import survey

    taken = False
    for link in survey():
        chosen = link.usable and not taken and link.name != "fork"
        taken = taken or chosen
        state = "ok" if link.usable and link.name != "local" else "note"
        used = "; `evolve start` takes it" if chosen else ""
        found = (
            f"{link.found}{used}; not stopped: a candidate {link.does_not_stop.removeprefix('it ')}"
            if link.usable
            else link.found
        )
        yield Finding(f"sandbox {link.name}", state, found, link.what_to_do)


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    if free < LOW_DISK_BYTES:
        return Finding("disk", "note", f"{free / 2**30:.1f} GiB free here", "free some space: a run takes up to 1 GiB")
    return Finding("disk", "ok", f"{free / 2**30:.0f} GiB free here")


def _key() -> Finding:
    found = [name for name in KEYS if os.environ.get(name)]
    if found:
        return Finding("model key", "ok", f"{', '.join(found)} is set; this version proposes from the catalogue alone")
    return Finding("model key", "ok", "none is set and none is needed: the catalogue proposes")


def _data_sets() -> Generator[Finding]:
    from evaluations.datasets_store import available

    names = available(cache_folder() / "data")
    if "ml-100k" in names:
        yield Finding("data", "ok", ", ".join(names))
    else:
        yield Finding("data", "note", "ml-100k is not at hand; the space next_item needs it", "evolve data get ml-100k")

"""The command line: turns words into calls, an `EvolveError` into one message and exit code 2.

Exit codes: 0 done; 1 a run ended before its budget was spent, or the doctor found something missing; 2 a clear
error; 130 interrupted by hand.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from evolve.cli import about, agent, box, carry, experiments, kernel, look, online, pr, pr_more, replay, start, ui
from evolve.cli.printing import clean
from evolve.errors import EvolveError

app = typer.Typer(
    name="evolve",
    help="Improves a recommender's code by itself and keeps only what an honest comparison confirms.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("start")(start.start)
app.command("status")(look.status)
app.command("log")(look.log)
app.command("show")(look.show)
app.command("diff")(look.diff)
app.command("report")(look.report)
app.command("online")(online.online)
app.command("experiments")(experiments.experiments)
app.command("calibration")(experiments.calibration)
app.command("ui")(ui.ui)
app.command("models")(agent.models)
app.command("steer")(agent.steer)
app.add_typer(agent.agents, name="agents")
app.command("replay")(replay.replay)
app.command("export")(carry.export_run)
app.command("import")(carry.import_run)
pr.pr.command("push")(pr_more.push)
pr.pr.command("rebase")(pr_more.rebase)
pr.pr.command("attribute")(pr_more.attribute)
app.add_typer(pr.pr, name="pr")
app.add_typer(kernel.kernel, name="kernel")
app.command("spaces")(about.spaces)
app.command("techniques")(about.techniques)
app.add_typer(about.data, name="data")
app.command("doctor")(about.doctor)
app.add_typer(box.sandbox, name="sandbox")


def _with_latest(words: list[str]) -> list[str]:
    """`--resume` alone means the newest run."""
    alone = (at for at, word in enumerate(words) if word == "--resume" and "".join(words[at + 1 : at + 2])[:1] in "-")
    at = next(alone, len(words))
    return [*words[: at + 1], "latest", *words[at + 1 :]] if at < len(words) else words


def main() -> None:
    """The entry point of the `evolve` command."""
    try:
        app(args=_with_latest(sys.argv[1:]))
    except EvolveError as error:
        _leave(str(error))
    except BrokenPipeError:
        # The reader (`head`, a pager) has gone; Python's own flush at exit must not complain about it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        # The machine's refusal (a full disk, no permission) is nothing that a traceback would explain.
        where = f"{error.filename}: " if error.filename else ""
        _leave(f"{where}{error.strerror or error}\n  Free space or mend permissions; a run goes on with --resume.")


def _leave(message: str) -> NoReturn:
    typer.echo(f"error: {clean(message)}", err=True)
    sys.exit(2)

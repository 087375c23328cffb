"""Parts of the pages without a browser: diffs, charts, search, the journal's follower, experiments."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest

from agents.online_state import decision_to_json
from evolve.campaign import Campaign, Experiment
from evolve.contracts import Action, CohortReport, Decision
from evolve.errors import JournalError
from evolve.journal import Follower, read
from evolve.run_folder import RunFolder
from evolve.web import charts, trials
from evolve.web.desk import rendered
from evolve.web.diffs import compare, highlighted, visible
from evolve.web.guardrails import guards
from evolve.web.readings import READINGS_KEPT, Reading, Shelf
from evolve.web.search import search
from evolve.web.site import ago, duration
from tests.toys import toy_loop

OLD = {"a.py": "import math\n\nWIDTH = 16\n\n\ndef f(x):\n    return x\n", "b.txt": "same\n"}


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Reading:
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "toy")
    loop = toy_loop(folder.path)
    loop.run()
    loop._journal.close()
    return Reading(folder).refresh()


def test_a_diff_shows_both_sides_and_marks_the_words_that_differ():
    (file,) = compare(OLD, {**OLD, "a.py": OLD["a.py"].replace("16", "32")})
    (row,) = [row for hunk in file.hunks for row in hunk.rows if row.kind != "same"]
    assert (file.path, file.added, file.removed, row.kind) == ("a.py", 1, 1, "changed")
    assert row.old.number == row.new.number == 3
    assert '<em><span class="mi">16</span></em>' in row.old.markup and "32" in row.new.markup


def test_a_diff_of_new_and_lost_files_has_one_empty_side():
    (gone, come) = compare({"x.py": "1\n"}, {"y.py": "2\n"})
    assert (gone.removed, gone.added, come.removed, come.added) == (1, 0, 0, 1)
    assert gone.hunks[0].rows[0].new.number == 0 and come.hunks[0].rows[0].old.number == 0


@pytest.mark.parametrize(
    "text", ["x = '''<script>\n</script>'''\n", "\x0c\n\x1d<b>\r\n", "def (\n", "é\u2028<i>\n", ""]
)
def test_code_is_coloured_without_losing_or_obeying_a_character(text):
    shown = ["".join(part for _, part in line) for line in highlighted("a.py", text)]
    assert shown == text.splitlines()
    markup = "".join(str(r.new.markup) for f in compare({}, {"a.py": text}) for h in f.hunks for r in h.rows)
    assert not {"<b", "<i>", "<script"} & set(markup.split("span"))
    assert "<script" not in markup and "<b>" not in markup and "<i>" not in markup


def test_what_would_reorder_a_line_shows_as_its_number():
    assert visible("a\u202eb\x1bc\td") == "a\\u202eb\\u001bc\td"


def test_markdown_of_a_stranger_has_neither_links_nor_pictures_nor_html():
    page = rendered(
        "# a <b>\n[x](javascript:1) ![y](http://e/z.png) <http://e> <script>1</script>\n\n| a |\n|---|\n| 1 |"
    )
    assert "<table>" in page and "<h1>" in page
    assert not [tag for tag in ("<a", "<img", "<script", "<b>") if tag in page]


def test_the_picture_of_progress_tells_the_champion_and_the_best(reading):
    picture = charts.progress(reading.archive)
    assert picture is not None and len(picture.promotions) == 2
    assert "champion #16 at +0.0160" in picture.told and "best #19" in picture.told
    assert picture.band.endswith("Z") and picture.champion.count("V") == 2


def test_a_long_run_is_drawn_as_clouds(reading, monkeypatch):
    monkeypatch.setattr(charts, "LINKED_DOTS", 3)
    picture = charts.progress(reading.archive)
    assert picture is not None and not picture.dots and dict(picture.clouds)["scored"].count("h0") > 5


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.02, 0.013), (0.0, 1e-9), (5.0, 5.0), (-1e6, 3.0)])
def test_ticks_are_few_and_inside(low, high):
    found = charts.ticks(low, high, 5)
    assert 1 <= len(found) <= 12 and all(low - 1e-9 <= tick <= high + 1e-9 for tick in found)


def test_search_finds_text_in_every_field_and_not_in_names_of_fields(reading):
    found, cut = search(reading.folder.journal, "TRACEBACK")
    assert {f["candidate"] for f in found} == {5, 10, 15, 20} and not cut
    assert found[0]["places"][0][:1] == ("outcome.detail",)
    assert search(reading.folder.journal, "hypothesis") == ([], False)


def test_a_follower_takes_each_record_once_and_waits_for_a_whole_line(tmp_path):
    loop = toy_loop(tmp_path)
    loop.run()
    path = tmp_path / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    follower = Follower(path)
    first = list(follower.news())
    assert not list(follower.news())
    path.write_bytes(whole)
    assert [r.hash for r in [*first, *follower.news()]] == [r.hash for r in read(path)]
    assert not follower.is_behind


def test_a_follower_refuses_a_broken_chain(tmp_path):
    loop = toy_loop(tmp_path)
    loop.run()
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"more is more", b"more is less", 1))
    with pytest.raises(JournalError, match="record 2"):
        list(Follower(path).news())


def test_few_runs_stay_in_memory(tmp_path):
    for number in range(READINGS_KEPT + 2):
        toy_loop(tmp_path / f"toy-{number}", budget=2).run()
    shelf = Shelf(tmp_path)
    for folder in shelf.folders():
        shelf.reading(folder.name)
    assert len(shelf._readings) == READINGS_KEPT


@pytest.mark.parametrize(("seconds", "told"), [(0, "0 s"), (61, "1 min 1 s"), (7200, "2 h"), (90_000, "1 d 1 h")])
def test_times_are_told_in_two_units(seconds, told):
    assert duration(seconds) == told


def test_ages_are_told_in_one_unit():
    assert [ago(s) for s in (1, 59, 60, 7300, 200_000)] == [
        "just now", "59 seconds ago", "1 minute ago", "2 hours ago", "2 days ago",
    ]  # fmt: skip


def looked(day: int, action: Action, effect: float, half: float, log_e: float) -> dict:
    decision = Decision(
        action=action, reason="as the toy says", effect=effect, low=effect - half, high=effect + half, log_e=log_e,
        alpha=0.01, cohorts=day, users=1000 * day,
    )  # fmt: skip
    return {"experiment": "e1", "challenger": "8", "day": day, "decision": decision_to_json(decision)}


def test_an_experiment_is_shown_day_by_day_with_the_line_that_promotes(reading):
    campaign = Campaign()
    began = {"platform": "toy", "days": 28, "champion": "0", "slots": 1}
    launched = {"experiment": "e1", "kind": "challenge", "challenger": "8", "control": "0", "day": 1, "reason": "first"}
    campaign.apply("online_started", began)
    campaign.apply("launched", {**launched, "shares": {"8": 0.5, "0": 0.5}, "traffic": 0.1})
    for day, half, log_e in ((2, 0.2, 0.0), (5, 0.02, 2.0), (9, 0.006, 5.0)):
        action = Action.PROMOTE if day == 9 else Action.EXTEND
        campaign.apply("decided", looked(day, action, 0.01, half, log_e))
    stand_in = SimpleNamespace(archive=SimpleNamespace(campaign=campaign, candidates=reading.archive.candidates))
    stand_in.proposal = reading.proposal
    (trial,) = trials.context_of(stand_in)["trials"]
    assert (trial["state"], trial["days"], trial["technique"]) == ("promoted", "day 1 to 9", "count")
    assert trial["interval"] == "+1.00 % [+0.40, +1.60]" and len(trial["picture"].dots) == 3
    assert 4 < trial["picture"].needed < trials.EVIDENCE_HEIGHT


def test_an_experiment_without_a_complete_cohort_shows_no_interval(reading):
    campaign = Campaign()
    launched = {"experiment": "e1", "kind": "challenge", "challenger": "8", "control": "0", "day": 1, "reason": "first"}
    campaign.apply("online_started", {"platform": "toy", "days": 28, "champion": "0", "slots": 1})
    campaign.apply("launched", {**launched, "shares": {"8": 0.5, "0": 0.5}, "traffic": 0.1})
    campaign.apply("decided", looked(2, Action.EXTEND, 0.0, math.inf, 0.0))
    stand_in = SimpleNamespace(archive=SimpleNamespace(campaign=campaign, candidates=reading.archive.candidates))
    stand_in.proposal = reading.proposal
    (trial,) = trials.context_of(stand_in)["trials"]
    assert trial["interval"] == "" and trial["picture"] is None and trial["state"] == "running"


def test_guardrails_are_shown_with_intervals_and_what_is_not_reported_is_left_out(reading):
    def report(arm: str, day: int, metric: str, mean: float) -> CohortReport:
        n, spread = 500.0, 0.2
        return CohortReport(
            experiment="e1", arm=arm, entered=day, metric=metric, users=500, n=n, y=n * mean,
            yy=n * (mean**2 + spread**2), x=n, xx=n * 1.25, xy=n * mean,
        )  # fmt: skip

    means = {"revenue": {"0": 1.0, "8": 0.8}, "diversity": {"0": 1.0, "8": 1.3}, "crash_free": {"0": 1.0, "8": 1.001}}
    one = Experiment(
        number=1, name="e1", kind="challenge", challenger="8", control="0", shares={"0": 0.5, "8": 0.5}, begun=1,
        reason="first",
    )  # fmt: skip
    one.reports += [report(arm, day, m, mean) for m, arms in means.items() for arm, mean in arms.items()
                    for day in range(1, 8)]  # fmt: skip
    rows, zero = guards(one, {"users": 4000, "stages": [[0, 1.0]], "enrol": 14})
    assert {row.metric: row.sign for row in rows} == {"crash_free": "even", "diversity": "up", "revenue": "down"}
    assert all(0 <= row.low <= row.at <= row.high <= 100 for row in rows) and zero == 50.0
    assert next(row.told for row in rows if row.metric == "revenue").startswith("-20.00 % [-")


def test_the_lineage_comes_in_columns_of_one_length(reading):
    from evolve.web.look import columns

    told = json.loads(json.dumps(columns(reading)))
    count = len(told["parents"])
    columns_of = [told["gains"], told["states"]["codes"], told["personas"]["codes"], told["techniques"]["codes"]]
    assert count == 21 and {len(column) for column in [*columns_of, *told["metrics"].values()]} == {count}
    assert told["champion"] == 16 and told["gains"][5] is None and told["gains"][0] == 0.0

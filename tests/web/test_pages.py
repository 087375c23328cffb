"""The pages in a real browser: a run moves, is reviewed, and whatever a stranger wrote stays text."""

from __future__ import annotations

import threading
from importlib import resources
from urllib.parse import quote

import pytest

from evolve.review.opened import at_desk
from evolve.run_folder import RunFolder
from tests.toys import Scoring, Ticking, toy_loop, verdict
from tests.web import hostile
from tests.web.conftest import Served, serve

PAGES = ("", "/lineage", "/candidates", "/candidates/0", "/candidates/8", "/candidates/5", "/compare?a=1&b=8",
         "/techniques", "/experiments", "/pulls", "/pulls/1", "/search?q=better")  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory):
    runs = tmp_path_factory.mktemp("runs")
    loop = toy_loop(runs / "toy")
    loop.run()
    loop._journal.close()
    yield from serve(runs)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory):
    runs = tmp_path_factory.mktemp("hostile")
    hostile.write(runs)
    yield from serve(runs)


@pytest.fixture
def fresh(tmp_path):
    yield from serve(tmp_path)


def enter(tab, served: Served, path: str = "/") -> None:
    tab.goto(served.address)
    tab.goto(served.origin + path)


def test_a_person_watches_a_run_opens_a_candidate_and_approves_a_pull_request(fresh, tab):
    enter(tab, fresh)
    assert "No run yet" in tab.inner_text("main")
    folder = RunFolder(fresh.runs / "toy")
    loop = toy_loop(folder.path, budget=36, evaluator=Scoring(nap_s=0.12))

    def run() -> None:
        with folder.held():
            loop.run()

    running = threading.Thread(target=run)
    running.start()
    tab.wait_for_timeout(800)
    tab.goto(fresh.origin + "/")
    tab.click("text=toy")
    assert tab.inner_text("h1") == "toy running"
    comes(tab, ".fact dd >> nth=0", "#8")
    comes(tab, ".fact dd >> nth=0", "#16")
    running.join()
    loop._journal.close()
    comes(tab, "h1 .chip", "ended")
    tab.click("ol.events a:has-text('#36')")
    assert tab.inner_text("h1").startswith("#36 count") and "36 is better" in tab.inner_text(".hypothesis")
    assert "X = 36" in tab.inner_text(".diff .new em, .diff .new >> nth=0")
    tab.wait_for_load_state()
    tab.keyboard.press("p")
    tab.wait_for_url("**/pulls")
    assert "main is the seed" in tab.inner_text("main")
    tab.click("text=1. count")
    tab.fill("#text", "well measured")
    tab.click("button[value=approve]")
    assert "It is merged" in tab.inner_text("[role=status]") and "well measured" in tab.inner_text(".reviews")
    tab.wait_for_load_state()
    tab.keyboard.press("p")
    tab.wait_for_url("**/pulls")
    assert "main is candidate #8" in tab.inner_text("main")
    assert not tab.wrong


def comes(tab, where: str, text: str) -> None:
    """Waits, without touching the page, until it says so by itself."""
    for _ in range(150):
        if tab.inner_text(where).startswith(text):
            return
        tab.wait_for_timeout(100)
    raise AssertionError(f"{where} says {tab.inner_text(where)!r}, not {text!r}")


def test_a_rejection_needs_a_reason_and_says_so(served, tab):
    enter(tab, served, "/runs/toy/pulls/2")
    tab.click("button[value=reject]")
    assert "a rejection needs its reason" in tab.inner_text("[role=alert]")
    tab.fill("#text", "too slow to serve")
    tab.click("button[value=reject]")
    assert "rejected" in tab.inner_text("h1") and "too slow to serve" in tab.inner_text(".reviews")


def test_a_conflicting_pull_request_shows_its_hunks_and_offers_no_merge(fresh, tab):
    folder = RunFolder(fresh.runs / "toy")
    loop = toy_loop(folder.path)
    loop.run()
    loop._journal.close()
    with at_desk(folder, Ticking()) as run:
        main = run.lineage.head("refs/heads/main")
        run.lineage.write("refs/heads/main", 0, {"model.py": "X = -1\n"}, (main,), "by hand")
        run.desk.rebase(1, lambda new, old, alpha: verdict("better", 0.01, alpha))
    enter(tab, fresh, "/runs/toy/pulls/1")
    assert "conflicting" in tab.inner_text("h1") and "evolve pr rebase 1" in tab.inner_text(".problem")
    assert "X = -1" in tab.inner_text(".markdown") and tab.query_selector("button[value=approve]") is None
    tab.goto(f"{fresh.origin}/runs/toy/pulls/2")
    tab.click("button[value=approve]")
    assert "evolve pr rebase 2" in tab.inner_text("[role=alert]")


@pytest.mark.parametrize("path", ["", "/lineage", "/candidates", "/compare", "/techniques", "/experiments", "/pulls"])
def test_a_strangers_text_stays_text(attacked, tab, path):
    enter(tab, attacked, f"/runs/{quote(hostile.NAME, safe='')}{path}")
    tab.wait_for_timeout(250)
    assert_harmless(tab)


@pytest.mark.parametrize("number", range(1, len(hostile.ATTACKS) + 1))
def test_a_hostile_candidate_and_its_pull_request_are_harmless(attacked, tab, number):
    run = f"/runs/{quote(hostile.NAME, safe='')}"
    enter(tab, attacked, f"{run}/candidates/{number}")
    assert_harmless(tab)
    shown = tab.inner_text(".hypothesis")
    assert [c for c in hostile.ATTACKS[number - 1] if c.isprintable()][:9] == [c for c in shown if c.isprintable()][:9]
    tab.goto(f"{attacked.origin}{run}/pulls/{(number - 1) % 11 + 1}")
    assert_harmless(tab)
    tab.goto(f"{attacked.origin}{run}/search?q={quote(hostile.ATTACKS[number - 1][:20])}")
    assert_harmless(tab)


def assert_harmless(tab) -> None:
    """Nothing ran, nothing was asked of elsewhere, and the page has no element that we did not write."""
    assert tab.evaluate("window.pwned === undefined")
    ours = "[...document.scripts].every(s => s.src.startsWith(location.origin + '/static/') && !s.textContent)"
    assert tab.evaluate(ours)
    handlers = "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => /^on/.test(a.name))"
    assert tab.evaluate(f"{handlers}.length") == 0
    assert tab.evaluate("document.querySelectorAll('iframe, base, object, embed, math, mtext, main img').length") == 0
    assert not tab.evaluate(r"/[\u202a-\u202e\u2066-\u2069\u0000\u001b]/.test(document.body.innerText)")
    assert tab.evaluate("[...document.links].every(a => a.origin === location.origin)")
    assert tab.evaluate("[...document.forms].every(f => f.method === 'dialog' || f.action.startsWith(location.origin))")
    assert not [said for said in tab.wrong if "404" not in said]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_fault_of_access(served, tab, scheme):
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    tab.emulate_media(color_scheme=scheme)
    tab.goto(served.address)
    for path in ("/", *(f"/runs/toy{page}" for page in PAGES), "/runs/none"):
        tab.goto(served.origin + path)
        tab.wait_for_timeout(150)
        tab.evaluate(axe)
        found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [
            (fault["id"], [node["target"] for node in fault["nodes"]][:3])
            for fault in found["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert not serious, (path, serious)


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_its_window(served, tab, width):
    tab.set_viewport_size({"width": width, "height": 844})
    tab.goto(served.address)
    for path in ("/", *(f"/runs/toy{page}" for page in PAGES)):
        tab.goto(served.origin + path)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, path


def test_everything_can_be_reached_with_keys(served, tab):
    enter(tab, served, "/runs/toy")
    for key, where in (("c", "/candidates"), ("t", "/techniques"), ("e", "/experiments"), ("l", "/lineage")):
        tab.keyboard.press(key)
        tab.wait_for_url(f"**{where}")
    tab.wait_for_selector("canvas[data-ready]")
    tab.focus("canvas")
    tab.keyboard.press("ArrowRight")
    assert tab.inner_text("#told").startswith("#16")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/candidates/16")
    tab.keyboard.press("n")
    tab.wait_for_url("**/candidates/17")
    tab.keyboard.press("?")
    assert tab.is_visible("dialog#keys")
    tab.keyboard.press("Escape")
    tab.keyboard.press("/")
    tab.keyboard.type("raised")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/search?q=raised")
    assert "it raised" in tab.inner_text("ol.found")


def test_a_person_finds_a_candidate_in_the_picture(served, tab):
    enter(tab, served, "/runs/toy/lineage")
    tab.wait_for_selector("canvas[data-ready]")
    assert "21 candidates; the champion is #16" in tab.inner_text("#told")
    for layout in ("tree", "gain"):
        tab.select_option("#layout", layout)
    tab.select_option("#colour", "persona")
    assert "optimizer" in tab.inner_text("#legend")
    tab.select_option("#colour", "metric")
    assert tab.is_visible("#metric") and not tab.wrong


def test_pages_need_no_scripts(served, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served.address)
    page.goto(f"{served.origin}/runs/toy/pulls/1")
    page.fill("#text", "read without scripts")
    page.click("button[value=comment]")
    assert "read without scripts" in page.inner_text(".reviews")
    context.close()

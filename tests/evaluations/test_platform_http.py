"""A platform behind HTTP says what the platform itself says; a service that fails is an error of ours, clearly told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from evaluations.platform import SimulatedPlatform
from evaluations.platform_http import HttpPlatform, read_reports
from evaluations.platform_server import server
from evaluations.production import Production
from evaluations.production_truth import CHAMPION
from evaluations.world import WorldConfig
from evolve.contracts import CohortReport
from evolve.errors import PlatformError, UsageError

SMALL = WorldConfig(users=200, first_items=100, items_per_day=1, log_days=5)
REPORT = {"experiment": "e", "arm": "a", "entered": 1, "metric": "clicks", "users": 3}


def simulated() -> SimulatedPlatform:
    rankers = {name: replace(CHAMPION, name=name) for name in ("champion", "other")}
    return SimulatedPlatform(Production(SMALL, 400), rankers, "champion")


def running(there: HTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=there.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{there.server_port}"
    there.shutdown()
    thread.join()
    there.server_close()


@pytest.fixture
def address() -> Iterator[str]:
    yield from running(server(simulated()))


@pytest.fixture
def broken() -> Iterator[str]:
    """A service that answers everything with a word."""

    class Wordy(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"soon")

        def log_message(self, format, *args):
            pass

    yield from running(HTTPServer(("127.0.0.1", 0), Wordy))


def test_both_sides_of_the_wire_report_the_same(address):
    """Launched, ramped, observed, promoted and stopped by the same calls."""
    for there in (near := simulated(), far := HttpPlatform(address)):
        there.launch("an/odd name", {"champion": 0.5, "other": 0.5}, 0.5)
        there.launch("an/odd name", {"champion": 0.5, "other": 0.5}, 0.5)
        there.observe(1)
        there.ramp("an/odd name", 1.0)
    found = [list(far.observe(day)) for day in range(12)]
    assert found == [list(near.observe(day)) for day in range(12)] and any(found)
    for there in (near, far):
        there.promote("other")
        there.stop("an/odd name")
    assert list(far.observe(13)) == list(near.observe(13)) == []


def test_a_refusal_says_why(address):
    with pytest.raises(PlatformError, match=r"400.*sum to 1"):
        HttpPlatform(address).launch("e", {"champion": 0.5, "other": 0.4}, 1.0)
    with pytest.raises(PlatformError, match="404"):
        HttpPlatform(address + "/elsewhere").observe(0)


def test_a_service_that_is_not_there_is_said_to_be_so():
    with pytest.raises(PlatformError, match="did not answer"):
        HttpPlatform("http://127.0.0.1:9", timeout_s=0.5).observe(0)


def test_an_answer_that_is_no_json_is_said_to_be_so(broken):
    with pytest.raises(PlatformError, match="no JSON"):
        HttpPlatform(broken).observe(0)


def test_an_address_that_is_none_is_refused():
    with pytest.raises(UsageError, match="no address"):
        HttpPlatform("file:///etc/passwd")


@pytest.mark.parametrize("change", [{"users": "many"}, {"entered": None}, {"arm": 7}])
def test_reports_of_another_shape_are_refused(change):
    with pytest.raises(PlatformError, match="not as agreed"):
        read_reports(json.dumps([{**REPORT, **change}]).encode())


def test_a_number_that_is_none_reaches_the_ledger():
    assert read_reports(json.dumps([{**REPORT, "y": float("nan")}]).encode())[0].y != 0.0


def test_the_description_names_every_field_of_a_report_and_every_call():
    described = yaml.safe_load((Path(__file__).parents[2] / "docs" / "platform.openapi.yaml").read_text())
    report = described["components"]["schemas"]["CohortReport"]["properties"]
    assert set(report) == {field.name for field in fields(CohortReport)}
    assert {(path, verb) for path, verbs in described["paths"].items() for verb in verbs if verb != "parameters"} == {
        ("/experiments/{experiment}", "put"), ("/experiments/{experiment}", "delete"),
        ("/experiments/{experiment}/traffic", "put"), ("/champion", "put"), ("/reports", "get"),
    }  # fmt: skip

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from miso_archive.collecting.result import RunError, RunResult
from miso_archive.collecting.told import (
    DRIFTED,
    REFUSED,
    STORED,
    TOO_LATE,
    RunRecord,
    coverage_markdown,
    drift_label,
    event_name,
    events_of,
    failure_message,
    name_at_end,
    name_at_start,
    object_link,
    outcome_of,
    rows_key,
    rows_shown,
    show_command,
    snapshot_markdown,
    stored_event,
)
from miso_archive.feeds import FEEDS
from miso_archive.feeds.columns import value_columns
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST
from miso_archive.store.put_once import Stored
from tests.bodies import body as spelled
from tests.bodies import ref_id
from tests.collecting.recorded_host import RECORDED
from tests.feeds.recorded import spelled as spelled_json
from tests.feeds.recorded import text_of, with_row

END = datetime(2026, 7, 27, 8, 10, tzinfo=EST)
DUE = datetime(2026, 7, 27, 13, 15, tzinfo=UTC)
NAME = "RDT_SO_MW (South_North) - STR+Lost_Gen Zone_1"


def row(price: str, name: str = NAME, **more: object) -> dict[str, object]:
    """A live row."""
    return {"Name": name, "Period": f"{END:%Y-%m-%dT%H:%M:%S}", "Price": price, "Description": "x", **more}


def body(*rows: dict[str, object], end: datetime = END, **more: object) -> bytes:
    """A live body."""
    return spelled(*rows, ref_id=ref_id(end), **more)


def record_of(*bodies: bytes, stored: int = 0) -> RunRecord:
    """The record of a run that saw these bodies and stored the first of them."""
    verdicts = [RESERVE.examine(one) for one in bodies]
    return RunRecord(
        [verdict.interval_end for verdict in verdicts if verdict.interval_end],
        [verdict.snapshot for verdict in verdicts[:stored] if verdict.snapshot],
    )


def failed(*codes: str, collected: int = 0) -> RunResult:
    """A result with these reasons."""
    errors = [RunError(code=code, message=f"message {number}") for number, code in enumerate(codes)]
    return RunResult(failed=1, collected=collected, errors=errors)


BINDING = body(row("-1"), row("-3"), row("-2"))
LATER = body(end=END + timedelta(minutes=5))


class TestName:
    @pytest.mark.parametrize(
        ("result", "record", "name"),
        [
            (RunResult(collected=1), record_of(BINDING, stored=1), "2026-07-27 08:10 EST: stored, 3 binding"),
            (RunResult(collected=1), record_of(body(), stored=1), "2026-07-27 08:10 EST: stored, quiet"),
            (RunResult(skipped_duplicate=1), record_of(BINDING), "2026-07-27 08:10 EST: nothing new"),
            (RunResult(collected=2), record_of(BINDING, LATER, stored=2), "2026-07-27 08:15 EST: 2 stored, quiet"),
            (RunResult(collected=2), record_of(LATER, BINDING, stored=2), "2026-07-27 08:15 EST: 2 stored, quiet"),
            (RunResult(collected=1), record_of(BINDING, LATER, stored=1), "2026-07-27 08:10 EST: stored, 3 binding"),
            (failed("bad_price", "bad_price"), record_of(body(row("x"))), "2026-07-27 08:10 EST: bad_price"),
            (failed("html_page", collected=1), record_of(BINDING, stored=1), "2026-07-27 08:10 EST: html_page, stored"),
            (failed("error_payload"), record_of(b'{"error":"no data"}'), "due 2026-07-27 08:15:00 EST: error_payload"),
            (failed("feed_timeout"), record_of(), "due 2026-07-27 08:15:00 EST: feed_timeout"),
        ],
    )
    def test_a_run_is_named_by_interval_and_outcome(self, result: RunResult, record: RunRecord, name: str) -> None:
        """The name tells the environment, the interval stored or else seen or else the due time, and the outcome."""
        assert name_at_end("prod", DUE, record, outcome_of(RESERVE, result, record)) == f"collect prod {name}"

    @pytest.mark.parametrize("name", FEEDS)
    def test_a_run_and_its_table_are_named_by_their_feed(self, name: str) -> None:
        """Both tell the feed and the environment, reserve's the environment alone, and what rows there are."""
        feed, expected = FEEDS[name], RECORDED[name]
        snapshot = feed.examine(feed.recorded.read_bytes()).snapshot
        assert snapshot is not None
        scope, record = feed.scope("prod"), RunRecord([snapshot.interval_end], [snapshot])
        assert name_at_end(scope, DUE, record, outcome_of(feed, RunResult(collected=1), record)) == expected.run
        assert rows_key(feed, scope) == expected.table

    def test_a_run_that_begins_or_is_skipped_is_named_by_its_due_time(self) -> None:
        """Before a run knows its interval its name says that the time is the due one, in EST."""
        assert name_at_start("dev", DUE) == "collect dev due 2026-07-27 08:15:00 EST"
        assert name_at_end("dev", DUE, RunRecord(), TOO_LATE).endswith("08:15:00 EST: skipped, too late")


def test_a_failure_says_why_on_its_first_line() -> None:
    """The first line is code and text of the first reason; at most ten stand there, and the rest are counted."""
    assert failure_message(failed("a_code")) == "a_code: message 0"
    lines = failure_message(failed(*["a_code"] * 13)).split("\n")
    assert lines[0] == "a_code: message 0"
    assert lines[9:] == ["a_code: message 9", "and 3 more: see the result"]


def test_rows_come_hardest_first_with_their_sign() -> None:
    """The table lists each constraint with its price as published, by magnitude."""
    snapshot = RESERVE.examine(BINDING).snapshot
    assert snapshot is not None
    assert [row["Shadow price ($/MW)"] for row in rows_shown(RESERVE, snapshot)] == [-3, -2, -1]


def test_rows_say_zone_direction_and_terms() -> None:
    """The parts of a constraint's name are columns; a name of another shape has none, and is shown whole."""
    snapshot = RESERVE.examine(body(row("-2"), row("-1", name="no such shape"))).snapshot
    assert snapshot is not None
    known, unknown = rows_shown(RESERVE, snapshot)
    parts = {"Zone": 1, "Direction": "South_North", "Terms": "STR+Lost_Gen"}
    assert known == {"Constraint": NAME, **parts, "Shadow price ($/MW)": -2}
    assert unknown == {"Constraint": "no such shape", **dict.fromkeys(parts), "Shadow price ($/MW)": -1}


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("rt_exante_lmp", {"Location": "ARKANSAS.HUB", "Energy ($/MWh)": 32.74, "Congestion ($/MWh)": 2}),
        ("fuel_mix", {"Fuel": "Coal", "Output (MW)": 25287}),
        ("subregional", {"Element": "RDT_SO_MW", "Flow direction": "South_North", "Shadow price ($/MWh)": -7.56}),
    ],
)
def test_rows_of_a_sister_have_every_column(name: str, row: dict[str, object]) -> None:
    """Of what is published, parsed and computed each column of the frame stands under its name and unit, in order."""
    feed = FEEDS[name]
    snapshot = feed.examine(text_of(feed).encode()).snapshot
    assert snapshot is not None
    shown = rows_shown(feed, snapshot)
    columns = [column.name for column in value_columns(feed.contract.tables[0])]
    assert [title.partition(" (")[0].replace(" ", "_").lower() for title in shown[0]] == columns
    assert row.items() <= shown[0].items()


def test_what_is_computed_of_a_part_that_is_absent_is_none() -> None:
    """A price without its loss has no energy component."""
    feed = FEEDS["rt_exante_lmp"]
    payload = with_row(feed, feed.contract.tables[0], 0, {"name": "A", "LMP": "1", "congestion": "0", "loss": ""})
    snapshot = feed.examine(spelled_json(payload)).snapshot
    assert snapshot is not None
    assert rows_shown(feed, snapshot)[0]["Energy ($/MWh)"] is None


@pytest.mark.parametrize("location", ["s3://bucket/folder", "file:///folder"])
def test_a_link_is_the_objects_address(location: str) -> None:
    """The link is the archive's location and the key."""
    assert object_link(location, "sourcing/x.json.gz") == f"{location}/sourcing/x.json.gz"


@pytest.mark.parametrize(
    ("location", "given", "command"),
    [
        ("file:///folder", {}, "zcat /folder/a/b.json.gz"),
        ("file:///a%20folder", {}, "zcat '/a folder/a/b.json.gz'"),
        ("s3://bucket/x", {}, "aws s3 cp s3://bucket/x/a/b.json.gz - | zcat"),
        (
            "s3://bucket",
            {"endpoint": "http://127.0.0.1:9000", "profile": "my own"},
            "aws s3 cp --endpoint-url=http://127.0.0.1:9000 '--profile=my own' s3://bucket/a/b.json.gz - | zcat",
        ),
    ],
)
def test_a_command_shows_the_object(location: str, given: dict[str, str], command: str) -> None:
    """The command is one that a shell takes, for a folder and for S3, with the endpoint and profile where there are."""
    assert show_command(location, "a/b.json.gz", **given) == command


def test_the_newest_snapshot_is_told_with_its_command() -> None:
    """The text has interval, outcome and address, and the command alone in a block, whatever characters are in it."""
    snapshot = RESERVE.examine(BINDING).snapshot
    assert snapshot is not None
    lines = snapshot_markdown(RESERVE, snapshot, "s3://b/k", "zcat '/a```b'").split("\n")
    assert lines[0] == "## 2026-07-27 08:10 EST: 3 binding"
    assert lines[-3:] == ["````sh", "zcat '/a```b'", "````"]


class TestCoverage:
    DAY = date(2026, 7, 27)

    def ends(self, *labels: str) -> list[tuple[datetime, int | None]]:
        """Quiet bodies of the day, by their labels; 24:00 is the next day's 00:00."""
        midnight = datetime(2026, 7, 27, tzinfo=EST)
        parts = [label.split(":") for label in labels]
        return [(midnight + timedelta(hours=int(hour), minutes=int(minute)), 0) for hour, minute in parts]

    def test_missing_intervals_are_told_as_ranges(self) -> None:
        """Gaps before the newest interval are counted and told by their first and last end, single ones by theirs."""
        text = coverage_markdown("prod", self.DAY, self.ends("00:05", "00:15", "00:35"))
        assert "## Market day 2026-07-27 (prod)" in text
        assert "**3 of 7** intervals collected until 00:35, 4 missing." in text
        assert "| 00:10 | 1 |\n| 00:20 to 00:30 | 3 |" in text

    def test_a_whole_day_ends_with_2400(self) -> None:
        """A market day has 288 intervals, the last one labelled with the next day's 00:00; it misses none."""
        ends = [datetime(2026, 7, 27, tzinfo=EST) + timedelta(minutes=5) * number for number in range(1, 289)]
        text = coverage_markdown("prod", self.DAY, [(end.astimezone(UTC), 2) for end in ends])
        assert "**288 of 288** intervals collected until 24:00, 0 missing." in text
        assert "**0** are quiet, and in **288** something binds." in text
        assert "|" not in text

    def test_only_intervals_of_the_day_count_and_each_once(self) -> None:
        """The 00:00 that begins the day, an off-grid label, the next day and a second body add nothing."""
        foreign = self.ends("00:00", "00:17", "24:05")
        text = coverage_markdown("dev", self.DAY, [*foreign, *self.ends("00:05", "00:05", "00:10")])
        assert "**2 of 2** intervals collected until 00:10, 0 missing." in text

    def test_quiet_and_binding_are_told_apart(self) -> None:
        """Of several bodies of an interval the last readable one counts; one that cannot be read collects nothing."""
        first, second, third = (end for end, _ in self.ends("00:05", "00:10", "00:15"))
        bodies = [(first, 0), (second, 0), (second, 3), (second, None), (third, None)]
        text = coverage_markdown("dev", self.DAY, bodies)
        assert "**2 of 2** intervals collected until 00:10, 0 missing." in text
        assert "Of those collected **1** are quiet, and in **1** something binds." in text

    def test_a_day_without_anything_is_told_so(self) -> None:
        """With nothing collected nothing is expected yet."""
        assert "**0 of 0** intervals collected yet, 0 missing." in coverage_markdown("dev", self.DAY, [])

    def test_many_gaps_are_cut_to_the_last_twenty(self) -> None:
        """A day of a hundred gaps lists the last twenty, and says so."""
        every_other = [datetime(2026, 7, 27, tzinfo=EST) + timedelta(minutes=10) * number for number in range(1, 101)]
        text = coverage_markdown("dev", self.DAY, [(end, 0) for end in every_other])
        assert text.count("\n| ") == 21
        assert "| 16:35 | 1 |" in text
        assert "The last 20 of 100 gaps are listed." in text


class TestEvents:
    def test_each_feed_has_its_own(self) -> None:
        """A sibling's events, runs and artifacts bear its name: its alarm is silenced by nothing of Reserve's."""
        sibling = replace(RESERVE, name="fuel_mix", is_first=False)
        ours, theirs = (events_of(feed, "dev", RESERVE.examine(b"{}"))[0] for feed in (RESERVE, sibling))
        assert (ours.name, theirs.name) == ("miso-reserve.body.refused", "miso-fuel-mix.body.refused")
        assert (ours.resource["prefect.resource.id"], theirs.resource["prefect.resource.id"]) == (
            "miso-reserve.dev",
            "miso-fuel-mix.dev",
        )
        assert theirs.resource["prefect.resource.name"] == "MISO fuel mix, dev"
        assert (RESERVE.scope("dev"), sibling.scope("dev")) == ("dev", "fuel-mix-dev")
        assert (drift_label(RESERVE), drift_label(sibling)) == ("miso-reserve.drift", "miso.drift")

    def drifts(self, one: bytes) -> dict[str, Any]:
        """The drift events of a body, payloads by kind."""
        events = events_of(RESERVE, "dev", RESERVE.examine(one))
        assert {event.name for event in events} <= {event_name(RESERVE, DRIFTED)}
        assert [event.resource[drift_label(RESERVE)] for event in events] == [event.payload["kind"] for event in events]
        return {event.payload["kind"]: event.payload for event in events}

    def test_a_stored_snapshot_says_where_it_is(self) -> None:
        """The event names the environment's resource, the interval, how many bind, and the key."""
        snapshot = RESERVE.examine(BINDING).snapshot
        assert snapshot is not None
        event = stored_event(RESERVE, "prod", snapshot, Stored("sourcing/x.json.gz", written=True))
        assert (event.name, event.resource["prefect.resource.id"]) == (event_name(RESERVE, STORED), "miso-reserve.prod")
        assert event.payload == {
            "interval_end": "2026-07-27T08:10:00-05:00",
            "binding": 3,
            "key": "sourcing/x.json.gz",
            "written": True,
        }

    def test_a_refused_body_says_why(self) -> None:
        """The event lists each reason code once, the first reason in full, and the interval where one was read."""
        (event,) = events_of(RESERVE, "prod", RESERVE.examine(body(row("x"), row("y"))))
        assert event.name == event_name(RESERVE, REFUSED)
        assert event.payload["codes"] == ["bad_price"]
        assert event.payload["first"].startswith("Constraint[0].Price 'x' is not a finite number")
        assert event.payload["interval_end"] == "2026-07-27T08:10:00-05:00"

    def test_a_known_body_is_no_event(self) -> None:
        """Neither what is seen in production nor a quiet body is drift."""
        assert events_of(RESERVE, "dev", RESERVE.examine(BINDING)) == []
        assert events_of(RESERVE, "dev", RESERVE.examine(body(row("-1", name="RDT_MW_SO (North_South)")))) == []
        assert events_of(RESERVE, "dev", RESERVE.examine(body(row("None", name="None")))) == []

    def test_a_new_field_is_drift(self) -> None:
        """A field that neither row shape has, in the row or beside it, is drift."""
        drift = self.drifts(body(row("-1", Zone="3"), Version=2))["unknown_field"]
        assert drift["count"] == 2
        assert drift["subjects"][0].startswith("Version ")

    def test_a_new_value_is_drift(self) -> None:
        """A ReserveType and a Direction that are not documented are drift, each of its own kind."""
        more: dict[str, Any] = {"Quantity": "1", "OVERRIDE": 0, "BP1": None, "PC1": None, "BP2": None, "PC2": None}
        kinds = self.drifts(body(row("-1", ReserveType="RAMP", Direction="LEFT", **more)))
        assert list(kinds) == ["unknown_reserve_type", "unknown_direction"]

    def test_a_name_of_another_shape_is_drift(self) -> None:
        """A name that cannot be taken apart is told once, escaped and cut, whatever it holds."""
        odd = "no shape \u001b[31m " + "x" * 500
        drift = self.drifts(body(row("-1", name=odd), row("-2", name=odd), row("-3")))["unknown_name_shape"]
        assert drift["count"] == 1
        assert drift["subjects"][0].isprintable()
        assert len(drift["subjects"][0]) < 80

    def test_drift_in_every_row_makes_a_small_event(self) -> None:
        """However many names are unknown, ten are listed and all are counted."""
        names = [f"odd name {number}" for number in range(500)]
        drift = self.drifts(body(*(row("-1", name=name) for name in names)))["unknown_name_shape"]
        assert (len(drift["subjects"]), drift["count"]) == (10, 500)

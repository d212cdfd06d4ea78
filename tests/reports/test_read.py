"""MISO's reports: what is read of them, and what is refused with a reason."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from miso_archive.contract.body import MOST_BYTES
from miso_archive.contract.findings import Finding, RefusalCode
from miso_archive.feeds.columns import CONSTRAINTS
from miso_archive.feeds.reserve import DA_RPE, RESERVE, RT_RPE
from miso_archive.intervals.labels import EST
from miso_archive.reports import apart as reports_apart
from miso_archive.reports.apart import Apart, Checked
from miso_archive.reports.cells import RefusedReportError
from miso_archive.reports.read import covered, read_report
from tests.report_files import COLUMNS, DEADLY, DESCRIPTION, DISCLAIMER, NAME, bound, day_ahead, real_time, workbook

if TYPE_CHECKING:
    from miso_archive.feeds.report import Report

DAY = date(2026, 7, 26)


def at(text: str, day: date = DAY) -> datetime:
    """The time ``08:10`` of the day, EST."""
    return datetime.strptime(f"{day} {text}", "%Y-%m-%d %H:%M").replace(tzinfo=EST)


def refused(data: bytes) -> list[tuple[str, str]]:
    """The codes and places for which a real-time report is refused."""
    with pytest.raises(RefusedReportError) as caught:
        read_report(RESERVE, RT_RPE, data, DAY)
    return [(reason.code.value, reason.where) for reason in caught.value.reasons]


def refused_day_ahead(data: bytes) -> list[tuple[str, str]]:
    """The same of a day-ahead report."""
    with pytest.raises(RefusedReportError) as caught:
        read_report(RESERVE, DA_RPE, data, DAY)
    return [(reason.code.value, reason.where) for reason in caught.value.reasons]


def check_report(report: Report, data: bytes) -> Checked | tuple[Finding, ...]:
    """What is said of a report of the day that is to be archived."""
    with Apart() as apart:
        return apart.check(RESERVE, report, data, DAY)


class TestRealTime:
    def test_a_row_is_read_with_all_it_says(self) -> None:
        """Time as the interval's end in EST, price with its sign, name as published and in its parts; the rest null."""
        frame = read_report(RESERVE, RT_RPE, real_time(DAY, bound("07-26-2026 08:10:00", "-8.32")), DAY, "reports/key")
        assert frame.schema == CONSTRAINTS
        [row] = frame.to_dicts()
        assert {name: value for name, value in row.items() if value is not None} == {
            "market_day": DAY,
            "interval_start": at("08:05"),
            "interval_end": at("08:10"),
            "constraint_name": NAME,
            "description": DESCRIPTION,
            "element": "RDT_SO_MW",
            "flow_direction": "South_North",
            "terms": ["STR", "Lost_Gen"],
            "zone": 3,
            "shadow_price": -8.32,
            "revision": 0,
            "is_latest": True,
            "source": "next_day_report",
            "object_key": "reports/key",
        }

    def test_every_label_of_a_day_is_read_as_text_and_as_excels_own_date(self) -> None:
        """All 288 ends come out to the second, the next 00:00 among them; Excel's fractions of a day are inexact."""
        ends = RT_RPE.interval_ends(DAY)
        spelled = [bound(f"{end:%m-%d-%Y %H:%M:%S}") for end in ends]
        cells = [bound(end.replace(tzinfo=None) + timedelta(seconds=0.2)) for end in ends]
        assert read_report(RESERVE, RT_RPE, real_time(DAY, *spelled), DAY)["interval_end"].to_list() == ends
        assert read_report(RESERVE, RT_RPE, real_time(DAY, *cells), DAY)["interval_end"].to_list() == ends

    def test_rows_come_in_time_order(self) -> None:
        """Rows are sorted by time; those of one time stay in the report's order."""
        rows = [bound("07-26-2026 08:10:00", name=name) for name in ("B", "A")]
        frame = read_report(RESERVE, RT_RPE, real_time(DAY, *rows, bound("07-26-2026 08:05:00", name="C")), DAY)
        assert frame["constraint_name"].to_list() == ["C", "B", "A"]

    def test_a_day_without_constraints_has_no_rows(self) -> None:
        """Header and disclaimer alone are a report, with its day in the banner or without."""
        assert read_report(RESERVE, RT_RPE, real_time(DAY), DAY).is_empty()
        assert read_report(RESERVE, RT_RPE, real_time(None), DAY).is_empty()

    def test_the_market_date_is_read_in_the_usual_spellings(self) -> None:
        """The banner may spell its date with slashes, dashes, a month's name, or in a cell of Excel's own beside it."""
        spellings: list[tuple[Any, ...]] = [
            ("Market Date: 7/26/2026",),
            ("MARKET DATE 07-26-2026",),
            ("Market Date: Jul 26, 2026",),
        ]
        spellings += [("x", "Market Date: July 26, 2026 (final)"), ("Market Date:", datetime(2026, 7, 26))]  # noqa: DTZ001
        for spelling in spellings:
            sheet = [("MISO",), ("RPE",), spelling, ("Time of Occurence", *COLUMNS), (DISCLAIMER,)]
            assert read_report(RESERVE, RT_RPE, workbook(sheet), DAY).is_empty()
            sheet[2] = tuple(str(cell).replace("26", "27", 1) if isinstance(cell, str) else cell for cell in spelling)
            if sheet[2] != spelling:
                assert refused(workbook(sheet)) == [("report_market_day", "Row[2]")]

    def test_columns_are_found_by_name(self) -> None:
        """Other columns beside and between, the header spelled right, a blank row: the same rows."""
        sheet = [
            ("MISO",),
            ("RPE",),
            (f"Market Date: {DAY:%m/%d/%Y}",),
            ("New", "Shadow Price", "Constraint Name", " time  of OCCURRENCE ", "Constraint Description"),
            ("x", -1.5, "A - B", "07-26-2026 00:05:00", None),
            (None,),
            (DISCLAIMER,),
        ]
        frame = read_report(RESERVE, RT_RPE, workbook(sheet), DAY)
        assert frame.select("interval_end", "constraint_name", "shadow_price", "description").rows() == [
            (at("00:05"), "A - B", -1.5, None)
        ]


class TestCoverage:
    def test_a_report_speaks_for_its_whole_day(self) -> None:
        """288 intervals, 00:05 to the next 00:00, quiet ones included; 24 hours of a day-ahead one."""
        assert covered(
            RT_RPE, read_report(RESERVE, RT_RPE, real_time(DAY), DAY), DAY
        ).to_list() == RT_RPE.interval_ends(DAY)
        hours = covered(DA_RPE, read_report(RESERVE, DA_RPE, day_ahead(DAY), DAY), DAY).to_list()
        assert hours == [at("00:00") + timedelta(hours=number) for number in range(1, 25)]

    def test_a_time_off_the_grid_is_kept_and_heals_nothing(self) -> None:
        """08:07:00 keeps its row; the interval it falls into, 08:05 to 08:10, is not spoken for; 23:59:59 alike."""
        rows = [bound("07-26-2026 08:07:00"), bound("07-26-2026 08:10:00"), bound("07-26-2026 23:59:59")]
        frame = read_report(RESERVE, RT_RPE, real_time(DAY, *rows), DAY)
        assert frame["interval_end"].to_list()[:2] == [at("08:07"), at("08:10")]
        left_out = set(RT_RPE.interval_ends(DAY)) - set(covered(RT_RPE, frame, DAY))
        assert left_out == {at("08:10"), at("00:00", DAY + timedelta(days=1))}


class TestDayAhead:
    def test_hours_are_hours_ending(self) -> None:
        """Hour 1 is 00:00 to 01:00 and hour 24 ends at the next 00:00, of the same market day; text or number."""
        frame = read_report(RESERVE, DA_RPE, day_ahead(DAY, bound(24), bound("1"), bound("2.0")), DAY)
        assert frame.select("market_day", "interval_start", "interval_end").rows() == [
            (DAY, at("00:00"), at("01:00")),
            (DAY, at("01:00"), at("02:00")),
            (DAY, at("23:00"), at("00:00", DAY + timedelta(days=1))),
        ]
        assert set(frame["source"]) == {"day_ahead_report"}

    @pytest.mark.parametrize("hour", [0, 25, -1, 1.5, "x", "nan", "inf", None])
    def test_what_is_no_hour_is_refused(self, hour: object) -> None:
        """Hours are the whole numbers from 1 to 24."""
        assert refused_day_ahead(day_ahead(DAY, bound(hour))) == [("unreadable_time", "Row[4]")]

    def test_without_a_market_date_it_is_refused(self) -> None:
        """Hours name no day: a banner that names none, or another, is refused."""
        nameless = workbook([("MISO",), ("RPE",), ("x",), ("Hour of Occurence", *COLUMNS), (DISCLAIMER,)])
        assert refused_day_ahead(nameless) == [("report_market_day", "file")]
        assert refused_day_ahead(day_ahead(DAY + timedelta(days=1))) == [("report_market_day", "Row[2]")]


def test_file_names_carry_the_date_they_are_published_for() -> None:
    """The real-time file of a day bears the date after it, the day-ahead file the date before, over a year's end."""
    assert RT_RPE.file_name(date(2026, 12, 31)) == "20270101_rt_rpe.xls"
    assert DA_RPE.file_name(date(2027, 1, 1)) == "20261231_da_rpe.xls"


class TestRefused:
    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"", "empty_body"),
            (b" \r\n", "empty_body"),
            (b"\xef\xbb\xbf<!DOCTYPE html><title>Maintenance", "html_page"),
            (b"\n<Error><Code>AccessDenied</Code></Error>", "html_page"),
            (b'{"error":"no data"}', "not_a_workbook"),
            (b"PK\x03\x04 a newer workbook", "not_a_workbook"),
            (real_time(DAY)[:600], "not_a_workbook"),
            (real_time(DAY)[:8] + bytes(5000), "not_a_workbook"),
            (real_time(DAY)[:8] + bytes(MOST_BYTES), "body_too_large"),
        ],
        ids=["nothing", "blank", "page", "xml", "json", "xlsx", "cut", "zeros", "large"],
    )
    def test_what_is_no_legacy_workbook(self, data: bytes, code: str) -> None:
        """Pages, other files and damaged workbooks are refused with a code, not a traceback."""
        assert refused(data) == [(code, "file")]

    def test_a_newer_workbook_is_not_opened(self) -> None:
        """A zip, which may unzip to anything, is refused by its first bytes."""
        with pytest.raises(RefusedReportError, match="begins with 'PK"):
            read_report(RESERVE, RT_RPE, b"PK\x03\x04 a newer workbook", DAY)

    def test_a_time_of_another_day(self) -> None:
        """Each time must end an interval of the market day; the day's own 00:00 ends one of the day before."""
        for time in ("07-25-2026 23:55:00", "07-26-2026 00:00:00", "07-27-2026 00:05:00"):
            rows = (bound("07-26-2026 00:05:00"), bound(time))
            assert refused(real_time(DAY, *rows)) == [("report_market_day", "Row[5]")]
            assert refused(real_time(None, *rows)) == [("report_market_day", "Row[5]")]

    def test_rows_that_cannot_be_read(self) -> None:
        """Times, names and prices are checked row by row: one reason a kind, with the first row of it and how many."""
        rows = [bound("07-26-2026 08:10:00"), bound("26-07-2026 08:10:00"), bound("soon"), bound(46229.34)]
        assert refused(real_time(DAY, *rows)) == [("unreadable_time", "Row[5]")]
        with pytest.raises(RefusedReportError, match="and so in 2 more rows"):
            read_report(RESERVE, RT_RPE, real_time(DAY, *rows), DAY)
        assert refused(real_time(DAY, bound("07-26-2026 08:10:00", name="  "))) == [("empty_name", "Row[4]")]
        for price in ("", "None", "1e999", "nan", "1,234.5", "$5"):
            assert refused(real_time(DAY, bound("07-26-2026 08:10:00", price))) == [("bad_price", "Row[4]")]

    def test_another_layout(self) -> None:
        """No header, a column missing, or no disclaimer at the end, where a report may have been cut: refused."""
        row = bound("07-26-2026 08:10:00")
        assert refused(workbook([("MISO",), row, (DISCLAIMER,)])) == [("report_layout", "file")]
        assert refused(workbook([])) == [("report_layout", "file")]
        assert refused(day_ahead(DAY)) == [("report_layout", "file")]
        assert refused(workbook([("Time of Occurence", *COLUMNS[1:]), (DISCLAIMER,)])) == [("report_layout", "Row[0]")]
        assert refused(real_time(DAY, row, disclaimer=None)) == [("report_layout", "file")]
        assert refused(real_time(DAY, disclaimer=None)) == [("report_layout", "file")]


class TestCheck:
    def test_it_says_what_the_report_holds(self) -> None:
        """A report that may be archived is counted: its rows, and the intervals it speaks for."""
        data = real_time(DAY, bound("07-26-2026 08:07:00"), bound("07-26-2026 09:00:00"))
        checked = check_report(RT_RPE, data)
        assert isinstance(checked, Checked)
        assert checked.rows.equals(read_report(RESERVE, RT_RPE, data, DAY))
        assert len(checked.covered) == 287
        hourly = check_report(DA_RPE, day_ahead(DAY, bound(7)))
        assert isinstance(hourly, Checked)
        assert (len(hourly.rows), len(hourly.covered)) == (1, 24)

    def test_it_gives_the_reasons_of_a_refusal(self) -> None:
        """The reasons are those that the reading gives."""
        data = real_time(DAY, bound("soon", "much"))
        found = check_report(RT_RPE, data)
        assert isinstance(found, tuple)
        with pytest.raises(RefusedReportError) as caught:
            read_report(RESERVE, RT_RPE, data, DAY)
        assert found == caught.value.reasons

    def test_a_workbook_that_would_end_the_process_is_refused(self) -> None:
        """A damaged workbook on which the library asks for 17 GB, and aborts, harms nobody."""
        command = [sys.executable, "-m", "miso_archive.reports.sheet"]
        said = b"%d\n%s" % (len(DEADLY), DEADLY)
        assert subprocess.run(command, input=said, capture_output=True, check=False).returncode == -signal.SIGABRT
        [reason] = check_report(RT_RPE, DEADLY)  # type: ignore[misc] # or the test fails
        assert reason.code is RefusalCode.NOT_A_WORKBOOK

    def test_those_that_come_after_it_are_read(self) -> None:
        """One process reads many: where one report ends it another takes its place, and refuses no sound one."""
        sound = real_time(DAY, bound("07-26-2026 08:10:00"))
        with Apart() as apart:
            for data in (sound, DEADLY, sound, sound):
                if data is DEADLY:
                    with pytest.raises(RefusedReportError, match="it is damaged"):
                        apart.read(RESERVE, RT_RPE, data, DAY)
                else:
                    assert len(apart.read(RESERVE, RT_RPE, data, DAY)) == 1

    def test_a_process_that_ends_by_itself_costs_no_report(self) -> None:
        """What the reports before left behind may end it: the next one is read by another, and the first ends too."""
        sound = real_time(DAY, bound("07-26-2026 08:10:00"))
        others = set(psutil.Process().children())
        with Apart() as apart:
            apart.read(RESERVE, RT_RPE, sound, DAY)
            [child] = set(psutil.Process().children()) - others
            child.kill()
            child.wait()
            assert len(apart.read(RESERVE, RT_RPE, sound, DAY)) == 1
        assert set(psutil.Process().children()) <= others

    def test_it_takes_no_longer_than_it_may(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A check that does not end in time is ended, and the report refused."""
        monkeypatch.setattr(reports_apart, "MOST_SECONDS", 0.01)
        [reason] = check_report(RT_RPE, real_time(DAY))  # type: ignore[misc] # or the test fails
        assert (reason.code, "0.01 s" in reason.message) == (RefusalCode.NOT_A_WORKBOOK, True)

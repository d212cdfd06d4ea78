"""MISO's reports on transmission and subregional constraints: what is read of them, and what is refused."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from miso_archive.feeds.columns import schema_of
from miso_archive.feeds.subregional import RT_PBC, SUBREGIONAL
from miso_archive.feeds.transmission import RT_BC, TRANSMISSION
from miso_archive.intervals.labels import EST
from miso_archive.reports.cells import RefusedReportError
from miso_archive.reports.read import covered, read_report
from tests.report_files import (
    DISCLAIMER,
    NORTH_SOUTH,
    PBC_HEADER,
    SOUTH_NORTH,
    binding_constraints,
    power_balance,
    workbook,
)

if TYPE_CHECKING:
    import polars as pl

DAY = date(2026, 7, 26)
CUT = "TMP781_Pittsburg_Semino_345_kV_FTLO_Canadian_Riv"
WHOLE = f"{CUT}er_345_kV"


def at(text: str) -> datetime:
    """The time ``08:10`` of the day, EST; ``24:00`` is its end."""
    hours, minutes = text.split(":")
    return datetime.combine(DAY, time(), EST) + timedelta(hours=int(hours), minutes=int(minutes))


def transmission(*rows: tuple[Any, ...], **sheet: Any) -> pl.DataFrame:  # noqa: ANN401 - the report's
    """What is read of a report with these rows."""
    return read_report(TRANSMISSION, RT_BC, binding_constraints(DAY, *rows, **sheet), DAY, "reports/key")


def subregional(*rows: str, **lines: str) -> pl.DataFrame:
    """What is read of a report with these lines."""
    return read_report(SUBREGIONAL, RT_PBC, power_balance(*rows, **lines), DAY, "reports/key")


def refused(read: Any, *rows: Any, **sheet: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - either of the two
    """The codes and places for which a report is refused."""
    with pytest.raises(RefusedReportError) as caught:
        read(*rows, **sheet)
    return [(reason.code.value, reason.where) for reason in caught.value.reasons]


class TestTransmission:
    def test_a_row_is_read_with_all_it_says(self) -> None:
        """Its clock as the interval's end, price, override and curve; the columns are those of the live feed."""
        frame = transmission(("08:10", "A_FLO_B", -569.2, 1, "PERCENT", 100, 1000, 102.5, 2000))
        assert frame.schema == schema_of(TRANSMISSION, "constraints")
        [row] = frame.to_dicts()
        assert {name: value for name, value in row.items() if value is not None} == {
            "market_day": DAY,
            "interval_start": at("08:05"),
            "interval_end": at("08:10"),
            "constraint_name": "A_FLO_B",
            "shadow_price": -569.2,
            "override": True,
            "curve_type": "PERCENT",
            "bp1": 100.0,
            "pc1": 1000.0,
            "bp2": 102.5,
            "pc2": 2000.0,
            "revision": 0,
            "is_latest": True,
            "source": "next_day_report",
            "object_key": "reports/key",
        }

    def test_every_clock_of_a_day_is_read(self) -> None:
        """As text, with seconds or one digit of the hour, and as Excel's own time; 24:00 ends the day."""
        clocks = [f"{minute // 60:02}:{minute % 60:02}" for minute in range(5, 24 * 60, 5)]
        as_cells = [time.fromisoformat(clock) for clock in clocks]
        for spelled in (clocks, [f"{clock}:00" for clock in clocks], [clock.removeprefix("0") for clock in clocks]):
            assert transmission(*((clock, "A", -1) for clock in spelled))["interval_end"].to_list() == [
                at(clock) for clock in clocks
            ]
        own = workbook_with_times(as_cells)
        assert read_report(TRANSMISSION, RT_BC, own, DAY)["interval_end"].to_list() == [at(clock) for clock in clocks]
        assert transmission(("24:00", "A", -1))["interval_end"].to_list() == [at("24:00")]

    def test_the_days_own_midnight_is_used_for_nothing(self) -> None:
        """It may be the first interval or the one before: its row is left out, and no last interval is spoken for."""
        frame = transmission(("00:00", "A", -1), ("00:05", "A", -2), ("23:55", "A", -3))
        assert frame["shadow_price"].to_list() == [-2.0, -3.0]
        spoken_for = covered(RT_BC, frame, DAY)
        assert (len(spoken_for), spoken_for[0], spoken_for[-1]) == (287, at("00:05"), at("23:55"))

    def test_a_report_that_names_the_days_end_speaks_for_it(self) -> None:
        """Where a row has 24:00 all 288 intervals are spoken for."""
        assert len(covered(RT_BC, transmission(("24:00", "A", -1)), DAY)) == 288

    def test_a_name_is_cut_as_the_live_feed_cuts_it(self) -> None:
        """48 characters are left of a longer one; two that begin alike stay two rows."""
        frame = transmission(("08:10", WHOLE, -1), ("08:10", f"{CUT}al", -2), ("08:10", CUT, -3), ("08:10", "A", -4))
        assert frame["constraint_name"].to_list() == [CUT, CUT, CUT, "A"]
        assert len(CUT) == 48

    def test_rows_that_are_alike_are_one(self) -> None:
        """The same constraint twice at a time, on two branches, is one row; another price is another row."""
        frame = transmission(("08:10", "A", -1), ("08:10", "A", -1), ("08:10", "A", -2), ("08:15", "A", -1))
        assert frame.select("interval_end", "shadow_price").rows() == [
            (at("08:10"), -1.0),
            (at("08:10"), -2.0),
            (at("08:15"), -1.0),
        ]

    def test_what_is_empty_is_absent(self) -> None:
        """A constraint without a curve of its own has none: not zero, and not malformed."""
        [row] = transmission(("08:10", "A", -1, None, "", None, "None", "", None)).to_dicts()
        assert [row[name] for name in ("override", "curve_type", "bp1", "pc1", "bp2", "pc2")] == [None] * 6

    def test_a_day_without_constraints_has_no_rows(self) -> None:
        """Header and disclaimer alone are a report, which speaks for the day up to 23:55."""
        assert transmission().is_empty()
        assert len(covered(RT_BC, transmission(), DAY)) == 287

    def test_another_day_or_none(self) -> None:
        """Clocks name no day: a banner that names none, or another, is refused."""
        for day, where in ((DAY + timedelta(days=1), "Row[1]"), (None, "file")):
            with pytest.raises(RefusedReportError) as caught:
                read_report(TRANSMISSION, RT_BC, binding_constraints(day, ("08:10", "A", -1)), DAY)
            assert [(reason.code.value, reason.where) for reason in caught.value.reasons] == [
                ("report_market_day", where)
            ]

    @pytest.mark.parametrize("clock", ["24:05", "25:00", "8", "08:60", "08:10:30", "soon", None, 8.5, "-1:00"])
    def test_what_is_no_clock(self, clock: object) -> None:
        """It is refused with its row, not guessed."""
        assert refused(transmission, ("08:10", "A", -1), (clock, "A", -1)) == [("unreadable_time", "Row[5]")]

    @pytest.mark.parametrize(
        ("row", "code"),
        [
            (("08:10", None, -1), "empty_name"),
            (("08:10", "A", None), "bad_price"),
            (("08:10", "A", "much"), "bad_price"),
            (("08:10", "A", -1, 2), "bad_override"),
            (("08:10", "A", -1, 0, "MW", "x"), "bad_break_point"),
        ],
    )
    def test_what_is_not_of_its_kind(self, row: tuple[Any, ...], code: str) -> None:
        """A name, price, override or break point that cannot be read is refused by its own code, with its row."""
        assert refused(transmission, ("08:05", "A", -1), row) == [(code, "Row[5]")]

    def test_another_layout(self) -> None:
        """A column missing, or no disclaimer at the end, where the file may have been cut: refused."""
        assert refused(transmission, ("08:10", "A", -1), disclaimer=None) == [("report_layout", "file")]
        banner = (("MISO",), (f"Market Date: {DAY:%m/%d/%Y}",), ("x",))
        cut = workbook((*banner, ("Constraint Name", "Hour of  Occurrence"), (DISCLAIMER,)))
        with pytest.raises(RefusedReportError, match="no column 'preliminary shadow price'"):
            read_report(TRANSMISSION, RT_BC, cut, DAY)


def workbook_with_times(clocks: list[time]) -> bytes:
    """The report of a constraint with Excel's own times."""
    return binding_constraints(DAY, *((datetime.combine(date(1899, 12, 31), clock), "A", -1) for clock in clocks))


class TestSubregional:
    def test_rows_are_read_with_all_they_say(self) -> None:
        """Time as the interval's end, four break points, the parts of the name, and the operator's words."""
        frame = subregional(f"07/26/2026 05:25:00,{SOUTH_NORTH}", f"07/26/2026 04:05:00,{NORTH_SOUTH}")
        assert frame.schema == schema_of(SUBREGIONAL, "constraints")
        [first, second] = frame.to_dicts()
        assert {name: value for name, value in second.items() if value is not None} == {
            "market_day": DAY,
            "interval_start": at("05:20"),
            "interval_end": at("05:25"),
            "constraint_name": "RDT_SO_MW (South_North)",
            "element": "RDT_SO_MW",
            "flow_direction": "South_North",
            "shadow_price": -7.56,
            "override": False,
            "curve_type": "PERCENT",
            "bp1": 100.0,
            "pc1": 40.0,
            "bp2": 102.0,
            "pc2": 500.0,
            "bp3": 200.0,
            "pc3": 500.0,
            "revision": 0,
            "is_latest": True,
            "source": "next_day_report",
            "object_key": "reports/key",
        }
        assert (first["override"], first["reason"], first["pc3"]) == (True, "System conditions require override", 3000)

    def test_a_row_that_stands_twice_is_one(self) -> None:
        """The real ones repeat rows to the letter."""
        row = f"07/26/2026 05:25:00,{SOUTH_NORTH}"
        assert len(subregional(row, row, f"07/26/2026 05:30:00,{SOUTH_NORTH}")) == 2

    def test_commas_of_free_text_part_nothing(self) -> None:
        """What an operator wrote is kept whole, quoted or not."""
        for words in ("high flows, late unit", '"high flows, late unit"'):
            row = f"07/26/2026 05:25:00,{NORTH_SOUTH.replace('System conditions require override', words)}"
            assert subregional(row)["reason"].to_list() == ["high flows, late unit"]

    def test_both_midnights(self) -> None:
        """The day's own is used for nothing; that of the next day ends its last interval."""
        frame = subregional(f"07/26/2026 00:00:00,{SOUTH_NORTH}", f"07/27/2026 00:00:00,{SOUTH_NORTH}")
        assert frame["interval_end"].to_list() == [at("24:00")]
        assert len(covered(RT_PBC, frame, DAY)) == 288
        assert len(covered(RT_PBC, subregional(), DAY)) == 287

    def test_a_time_of_another_day(self) -> None:
        """It is refused: the file is of another day than its name says."""
        assert refused(subregional, f"07/25/2026 23:55:00,{SOUTH_NORTH}") == [("report_market_day", "Row[5]")]
        assert refused(subregional, f"07/27/2026 00:05:00,{SOUTH_NORTH}") == [("report_market_day", "Row[5]")]

    @pytest.mark.parametrize(
        ("lines", "code"),
        [
            ({"disclaimer": ""}, "report_layout"),
            ({"disclaimer": "07/26/2026 05:3"}, "report_layout"),
            ({"header": PBC_HEADER.replace("CONSTRAINT_NAME", "NAME")}, "report_layout"),
            ({"header": "x"}, "report_layout"),
        ],
    )
    def test_a_file_that_was_cut_or_is_laid_out_otherwise(self, lines: dict[str, str], code: str) -> None:
        """Without the sentence at its end, a heading or the header it is refused."""
        assert [found for found, _ in refused(subregional, f"07/26/2026 05:25:00,{SOUTH_NORTH}", **lines)] == [code]

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"", "empty_body"),
            (b"<html>Down</html>", "html_page"),
            (b'{"error":"no data"}', "report_layout"),
            (b'"never closed\n' * 3, "report_layout"),
            (bytes(range(256)) * 4, "report_layout"),
            (b"," * 4_000_000, "report_layout"),
            (b"x\n" * 2_000_000, "report_layout"),
        ],
    )
    def test_what_is_no_such_file(self, data: bytes, code: str) -> None:
        """Pages and other files are refused with a code, not a traceback."""
        with pytest.raises(RefusedReportError) as caught:
            read_report(SUBREGIONAL, RT_PBC, data, DAY)
        assert [reason.code.value for reason in caught.value.reasons] == [code]


def test_file_names() -> None:
    """Both files bear the date after the market day, over a year's end."""
    assert RT_BC.file_name(date(2026, 12, 31)) == "20270101_rt_bc.xls"
    assert RT_PBC.file_name(date(2026, 12, 31)) == "20270101_rt_pbc.csv"

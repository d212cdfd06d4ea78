"""Charts of one period against another, and of zones by hour. Pure; as in ``charts``."""

import altair as alt
import polars as pl

from miso_archive.charts.drawing import BLUE, VERMILLION, WIDTH, Chart, finished, hour_axis, nothing, shades

_BEFORE, _AFTER = "before", "this period"


def comparison(compared: pl.DataFrame | None, *, source: str, most: int = 12) -> Chart:
    """Draw the mean shadow price of each constraint in a period and in the one before, those that changed most.

    Args:
        compared: The result of ``compare_periods`` by ``constraint_name``, the largest change first; None without a
            period before.
        source: The subtitle, from ``origin``.
        most: Show so many.
    """
    title = "This period against the one before: mean shadow price"
    if compared is None:
        return nothing(title, source, "A period needs one before it: two market days at least.")
    changed = compared.drop_nulls("mean_shadow_price_difference").head(most)
    if changed.is_empty():
        return nothing(title, source)
    sides = [
        changed.select("constraint_name", period=pl.lit(period), mean=mean, share=share)
        for period, mean, share in (
            (_BEFORE, "mean_shadow_price_before", "binding_share_before"),
            (_AFTER, "mean_shadow_price_after", "binding_share_after"),
        )
    ]
    names = alt.Y("constraint_name:N", sort=changed["constraint_name"].to_list(), title=None).axis(labelLimit=360)
    spans = (
        alt.Chart(changed.select("constraint_name", "mean_shadow_price_before", "mean_shadow_price_after"))
        .mark_rule(strokeWidth=2, opacity=0.4)
        .encode(names, alt.X("mean_shadow_price_before:Q"), alt.X2("mean_shadow_price_after:Q"))
    )
    points = (
        alt.Chart(pl.concat(sides))
        .mark_point(filled=True, size=70, opacity=1)
        .encode(
            names,
            alt.X("mean:Q", title="mean over observed intervals, $/MW").axis(tickCount=8),
            alt.Color("period:N", title=None).scale(domain=[_BEFORE, _AFTER], range=[VERMILLION, BLUE]),
            tooltip=[
                "constraint_name",
                "period",
                alt.Tooltip("mean", format=".3f"),
                alt.Tooltip("share", format=".2%"),
            ],
        )
    )
    return finished((spans + points).properties(width=380, height=alt.Step(20)), title, source, _periods(compared))


def zone_hours(table: pl.DataFrame, *, source: str) -> Chart:
    """Draw at which hours the constraints of each zone bind: the mean price beside the frequency, directions apart.

    Args:
        table: The result of ``profiles.zone_hours``.
        source: The subtitle, from ``origin``.
    """
    title = "Zones by hour: how hard, and how often"
    rows = table.drop_nulls("binding_share").with_columns(
        pl.col("zone").cast(pl.String).fill_null("none"),
        pl.col("flow_direction").fill_null("not parsed"),
        magnitude=pl.col("mean_shadow_price").abs(),
    )
    if rows.is_empty():
        return nothing(title, source)
    panels = []
    for direction in rows["flow_direction"].unique().sort():
        cells = alt.Chart(rows.filter(flow_direction=direction)).encode(
            hour_axis(every=3),
            alt.Y("zone:O", title=[direction, "reserve zone"]),
            tooltip=[
                "flow_direction:N",
                "zone:N",
                "hour:O",
                "mean_shadow_price:Q",
                alt.Tooltip("binding_share:Q", format=".2%"),
            ],
        )
        hard = cells.mark_rect().encode(
            alt.Color("magnitude:Q", title=["magnitude of", "the mean, $/MW"]).scale(
                scheme=shades("oranges"), domainMin=0
            )
        )
        often = cells.mark_rect().encode(
            alt.Color("binding_share:Q", title=["binds, share of", "observed intervals"])
            .scale(scheme=shades("blues"), domainMin=0)
            .legend(format=".0%", tickCount=4)
        )
        size = {"width": WIDTH // 2 - 60, "height": alt.Step(18)}
        panels.append(alt.hconcat(hard.properties(**size), often.properties(**size)).resolve_scale(color="independent"))
    return finished(alt.vconcat(*panels), title, source)


def _periods(compared: pl.DataFrame) -> str:
    seen = compared.select(
        pl.col(f"{count}_intervals_{side}") for side in ("before", "after") for count in ("observed", "expected")
    ).row(0)
    return "Observed of the period before {:,} of {:,} intervals, of this one {:,} of {:,}.".format(*seen)

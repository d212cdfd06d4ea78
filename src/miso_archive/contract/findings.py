"""Why a body is refused, what is worth a look in an accepted one, why a run fails: stable codes with their meaning."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

MOST_FINDINGS: Final = 100
"""How many reasons, and how many warnings, are listed for one body; a last one counts the rest."""


class _Code(StrEnum):
    meaning: str

    def __new__(cls, code: str, meaning: str) -> Self:
        """Carry the meaning beside the code, so that neither is written without the other."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


class RefusalCode(_Code):
    """Why a body is refused. Codes are stable: people filter, alert and write rules on them."""

    EMPTY_BODY = "empty_body", "The body has no bytes, or white space only."
    BODY_TOO_LARGE = "body_too_large", "The body is larger than 5 MiB after decompression; what was read of it is kept."
    UNREADABLE_ENCODING = (
        "unreadable_encoding",
        "The body's content encoding cannot be undone: its bytes are kept as they came, the encoding with the reasons.",
    )
    HTML_PAGE = "html_page", "An HTML (or XML) page where data belong, for example a maintenance page."
    NOT_JSON = "not_json", "The body is not valid JSON in UTF-8 (`NaN` and `Infinity` are not JSON)."
    ERROR_PAYLOAD = "error_payload", 'An error message in place of data, as in `{"error":"no data"}`.'
    NOT_AN_OBJECT = "not_an_object", "JSON, but not an object; or a row that is not an object."
    MISSING_FIELD = "missing_field", "A required field is absent; a row of reserve needs all four or all eleven."
    NOT_TEXT = "not_text", "`RefId`, a name, a time or a description is not text."
    EMPTY_REF_ID = "empty_ref_id", "`RefId` is empty."
    UNREADABLE_REF_ID = "unreadable_ref_id", "`RefId` is in neither of the two spellings, or names no real time."
    CONSTRAINT_NOT_A_LIST = "constraint_not_a_list", "`Constraint` is not a list."
    NOT_A_LIST = "not_a_list", "Where a list of rows belongs, as the body of `snapshot` is one, stands something else."
    TOO_FEW_ROWS = "too_few_rows", "There are fewer rows than a body of the feed always has."
    EMPTY_VALUE = (
        "empty_value",
        'A name or time that a row needs is `""`, blank or null, or a name is `"None"`; an empty figure is no number.',
    )
    BAD_NUMBER = "bad_number", "A figure is not a finite number, as a number or as text, or its commas stand wrongly."
    NO_LABEL_ROW = (
        "no_label_row",
        "The row whose time is the label of its body, `Current Demand`, is missing or stands twice.",
    )
    EMPTY_NAME = "empty_name", "`Name` is empty."
    EMPTY_PERIOD = "empty_period", "`Period` is empty."
    UNREADABLE_PERIOD = "unreadable_period", "`Period` is not a time that can be read."
    BAD_PRICE = "bad_price", "A price is not a finite number (a number or a numeric string, in $/MW or $/MWh)."
    BAD_QUANTITY = "bad_quantity", "`Quantity` is not a finite number (a number or a numeric string, in MW)."
    BAD_OVERRIDE = "bad_override", '`OVERRIDE` is not a boolean, 0, 1, "0" or "1".'
    BAD_BREAK_POINT = (
        "bad_break_point",
        "A break point or its price, `BP1` to `PC4`, is neither a finite number nor absent.",
    )
    NOT_A_WORKBOOK = "not_a_workbook", "A report that is no legacy Excel workbook (`.xls`), or a damaged one."
    REPORT_LAYOUT = "report_layout", "A report without the header, the columns or the closing disclaimer row it has."
    REPORT_MARKET_DAY = "report_market_day", "A report of another market day than its file's date stands for."
    REPORT_TIMES = "report_times", "A report whose rows agree with the live ones as starts of intervals, not as ends."
    UNREADABLE_TIME = "unreadable_time", "A time or hour that rows depend on cannot be read, in a body or a report."
    WRONG_PAGE = (
        "wrong_page",
        "A page of another market day, number or node than was asked for, one that repeats, or one too many.",
    )
    UNREADABLE_FILE = "unreadable_file", "A file given to `miso-archive validate` cannot be read."
    MORE_REASONS = "more_reasons", f"More than {MOST_FINDINGS} reasons: the message counts those not listed."


class WarningCode(_Code):
    """What is worth a look in a body that is accepted all the same."""

    UNKNOWN_FIELD = (
        "unknown_field",
        "A field that the contract does not know: the feed drifts. It is archived as it is.",
    )
    UNKNOWN_RESERVE_TYPE = "unknown_reserve_type", "`ReserveType` is not SPIN, NSPIN, REG_UP, REG_DOWN or SUPPL."
    UNKNOWN_DIRECTION = "unknown_direction", "`Direction` is not UP, DOWN or BOTH."
    PERIOD_DIFFERS = (
        "period_differs",
        (
            "`Period`, `INTERVALEST`, `HourAndMin`, `MktDay` or `HourEnding` is of another interval than `RefId`; or "
            "`HourAndMin` or `MktDay` cannot be read."
        ),
    )
    OFF_GRID_INTERVAL = "off_grid_interval", "The label is a time that is not on the five-minute grid."
    SUM_DIFFERS = "sum_differs", "`TotalMW` is not the sum of the fuels."
    ENERGY_DIFFERS = "energy_differs", "The energy component of the prices differs between locations by more than 0.02."
    PARTS_DIFFER = "parts_differ", "A price is not the sum of its energy, congestion and loss, to 0.02."
    PLACEHOLDER_BESIDE_CONSTRAINTS = (
        "placeholder_beside_constraints",
        "A placeholder row (nothing binds) stands beside binding constraints.",
    )
    MORE_WARNINGS = "more_warnings", f"More than {MOST_FINDINGS} warnings: the message counts those not listed."


class FailureCode(_Code):
    """Why a run fails, apart from a refused body, and what to do."""

    FEED_TIMEOUT = "feed_timeout", "No whole answer within `--timeout`, also after retries. Nothing to do if it passes."
    FEED_UNREACHABLE = (
        "feed_unreachable",
        "No connection to the feed, also after retries. Check network and `--api-base`, or `--api-url`.",
    )
    FEED_UNAVAILABLE = (
        "feed_unavailable",
        "The feed answers 5xx or 429, also after retries. Nothing to do if it passes.",
    )
    FEED_STATUS = (
        "feed_status",
        "Any other status but 200. Not retried: check `--api-base`, or `--api-url`; MISO's addresses move.",
    )
    FEED_REDIRECT = (
        "feed_redirect",
        "The feed redirects to another host. Not followed: check it, then set `--api-base`, or `--api-url`.",
    )
    API_KEY_REFUSED = (
        "api_key_refused",
        "The keyed API answers 401. Not retried: check `MISO_API_KEY`, or the `Secret` block of `--api-key-block`.",
    )
    API_QUOTA = (
        "api_quota",
        "The keyed API answers 403: the day's calls are used up, or the key is not for it. Left to a later run.",
    )
    PAGES_UNFINISHED = (
        "pages_unfinished",
        "All pages of a market day came, and their rows are not as many as they say: the next run asks for all anew.",
    )
    FEED_ENCODING = (
        "feed_encoding",
        "The answer's content encoding cannot be undone, also after retries. Its bytes are kept in quarantine.",
    )
    REDIS_UNREACHABLE = (
        "redis_unreachable",
        "Redis does not answer, or lets nobody in. Nothing is fetched: start it, mend the password, or name another.",
    )
    REDIS_FAILED = (
        "redis_failed",
        "Redis breaks off or refuses in the middle of a run. What was fetched is archived: mend Redis, then rerun.",
    )
    ARCHIVE_UNAVAILABLE = (
        "archive_unavailable",
        "S3 fails or cannot be reached, also after retries. A fetched body waits in the spool for a later run.",
    )
    ARCHIVE_REFUSED = (
        "archive_refused",
        "S3 or the disk refuses: credentials, rights, bucket name, space. Mend it: a fetched body waits in the spool.",
    )
    ARCHIVE_UNREADABLE = (
        "archive_unreadable",
        "There is no archive, it cannot be read, or raw objects are gone: of `compact`, `gaps` and whatever reads.",
    )
    BLOCK_NOT_FOUND = (
        "block_not_found",
        "The `S3Bucket` or `Secret` block cannot be loaded. Save it under that name; see that Prefect answers.",
    )
    KAFKA_UNDELIVERED = (
        "kafka_undelivered",
        "Kafka has not confirmed the message. The object is stored; the next run that reaches Kafka announces it.",
    )
    KAFKA_DENIED = (
        "kafka_denied",
        "Kafka refuses the user, password or topic. The object is stored, and announced as above.",
    )
    VALKEY_NOT_STARTED = (
        "valkey_not_started",
        "The embedded Valkey of `--local` does not start. Its log lies beside it.",
    )
    NOTEBOOK_FAILED = (
        "notebook_failed",
        "A cell failed, and the message has its number; or its process did not start. The page of before stays.",
    )
    WRONG_PARAMETERS = (
        "wrong_parameters",
        "In Prefect: parameters, the worker's environment or what is installed there make no run. Nothing is fetched.",
    )
    UNFORESEEN = (
        "unforeseen",
        "An error that nobody foresaw broke off one feed of several: the log has the traceback. Report it.",
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason or warning: a stable code, where in the body (``Constraint[3].Price``), and a sentence."""

    code: RefusalCode | WarningCode
    where: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """Return the three parts as plain text, for JSON."""
        return {"code": self.code.value, "where": self.where, "message": self.message}


class Findings:
    """Collects reasons and warnings, bounded whatever a body holds."""

    def __init__(self) -> None:
        self._reasons: list[Finding] = []
        self._unlisted_reasons = 0
        self._unexamined = ""
        self._warnings: dict[tuple[WarningCode, str], tuple[Finding, int]] = {}
        self._unlisted_warnings = 0

    def refuse(self, code: RefusalCode, where: str, message: str) -> None:
        """Record a reason."""
        if len(self._reasons) < MOST_FINDINGS:
            self._reasons.append(Finding(code, where, message))
        else:
            self._unlisted_reasons += 1

    def stop_at(self, where: str) -> bool:
        """Tell whether enough is wrong to leave the rest unexamined, from here on: a body may hold 10^5 rows."""
        if len(self._reasons) < MOST_FINDINGS:
            return False
        self._unexamined = f"what begins at {where} is not examined"
        return True

    def warn(self, code: WarningCode, subject: str, where: str, message: str) -> None:
        """Record a warning once a subject: a field that drifts does so in every row."""
        known = self._warnings.get((code, subject))
        if known is not None:
            self._warnings[code, subject] = (known[0], known[1] + 1)
        elif len(self._warnings) < MOST_FINDINGS:
            self._warnings[code, subject] = (Finding(code, where, message), 1)
        else:
            self._unlisted_warnings += 1

    def reasons(self) -> tuple[Finding, ...]:
        """Return what the body is refused for; nothing when it is not."""
        reasons = list(self._reasons)
        if self._unlisted_reasons or self._unexamined:
            more = f"and {self._unlisted_reasons} more" if self._unlisted_reasons else ""
            message = "; ".join(part for part in (more, self._unexamined) if part)
            reasons.append(Finding(RefusalCode.MORE_REASONS, "body", message))
        return tuple(reasons)

    def warnings(self) -> tuple[Finding, ...]:
        """Return what is worth a look."""
        warnings = [
            first if count == 1 else Finding(first.code, first.where, f"{first.message} ({count} times)")
            for first, count in self._warnings.values()
        ]
        if self._unlisted_warnings:
            warnings.append(Finding(WarningCode.MORE_WARNINGS, "body", f"and {self._unlisted_warnings} more"))
        return tuple(warnings)

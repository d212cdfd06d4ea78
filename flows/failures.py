"""What a failed run says of itself in Prefect: its reason in one line, code first.

A failure that is foreseen says all there is to know in its message; a traceback of ours below it would only hide it.
"""

import logging
from typing import Any, Final

from prefect.exceptions import FailedRun, ParameterBindError, ParameterTypeError, SignatureMismatchError
from prefect.futures import PrefectFutureList, wait
from prefect.states import Failed

from miso_archive.contract.findings import FailureCode
from miso_archive.extras import MissingExtraError
from miso_archive.failures import CollectionError
from miso_archive.intervals.market_days import WrongDaysError
from miso_archive.settings.options import UsageError, with_fields_named

FORESEEN: Final = (CollectionError, UsageError, WrongDaysError, MissingExtraError)
"""What our own code raises when it knows what is wrong."""

# A run with such parameters is refused by Prefect, which says so in a line of its own, and in the state.
_REFUSED_BY_PREFECT: Final = (ParameterTypeError, ParameterBindError, SignatureMismatchError)


def told(error: Exception) -> str:
    """Tell a foreseen failure as ``code: message``, with settings named as the parameters of a run are."""
    if isinstance(error, CollectionError):
        return with_fields_named(str(error))
    return f"{FailureCode.WRONG_PARAMETERS.value}: {with_fields_named(str(error))}"


def failed(*errors: Exception) -> Any:  # noqa: ANN401 - a state, in place of what the flow returns
    """Return the state of a run that failed for foreseen reasons."""
    return Failed(message="; ".join(map(told, errors)))


def results_of(futures: PrefectFutureList[Any]) -> tuple[list[Any], list[Exception]]:
    """Wait until all tasks have ended, and part what they returned from the foreseen failures among it.

    Raises:
        Exception: A task failed in a way that nobody foresaw.
    """
    wait(list(futures))
    outcomes = futures.result(raise_on_failure=False)
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    for error in errors:
        if not isinstance(error, FORESEEN):
            raise error
    return [outcome for outcome in outcomes if not isinstance(outcome, Exception)], errors


class _OneLine(logging.Filter):
    """Logs a foreseen failure by its reason alone, and not again when Prefect meets it after the run's end."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, FORESEEN):
            reason = told(error)
            if record.levelno < logging.ERROR:
                reason = f"{record.getMessage()}: {reason}"
            record.msg, record.args, record.exc_info = "%s", (reason,), None
        return not isinstance(error, _REFUSED_BY_PREFECT) and not _is_of_a_state(error)


def _is_of_a_state(error: BaseException | None) -> bool:
    """Tell what Prefect raises, once a run has ended, because its state is Failed: without a result, and with one."""
    is_of_a_result = isinstance(error, TypeError) and str(error).startswith("Unexpected result for failed state")
    return is_of_a_result or isinstance(error, FailedRun)


def tell_in_one_line() -> None:
    """Make the runs of this process log so. Each file of a flow asks for it: Prefect imports that, and so does Dask."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        if not any(isinstance(present, _OneLine) for present in logger.filters):
            logger.addFilter(_OneLine())

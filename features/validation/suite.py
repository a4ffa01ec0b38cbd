"""Great Expectations run over a time range."""

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import pandas as pd

from features.validation.checks import Planned

Result = dict[str, Any]  # one of Great Expectations', as JSON
# Of each post that breaks an expectation, its id.
_FORM = {"result_format": "COMPLETE", "unexpected_index_column_names": ["post_id"]}


def run(planned: Sequence[Planned], posts: pd.DataFrame, records: pd.DataFrame) -> list[Result]:
    """The result of each expectation, in order.

    Args:
        planned: what is expected.
        posts: of `columns.measured`.
        records: the column dead_letter, 1 or 0 for each Kafka record.

    Raises:
        RuntimeError: Great Expectations could not evaluate one.
    """
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.enable_analytics(enable=False)
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        source = context.data_sources.add_pandas("lake")
        results: dict[int, Result] = {}
        for name, frame, form in (
            ("posts", posts, _FORM),
            ("records", records, {"result_format": "BASIC"}),
        ):
            chosen = [i for i, p in enumerate(planned) if p.of_records == (name == "records")]
            suite = gx.ExpectationSuite(name, [_expectation(planned[i], i) for i in chosen])
            asset = source.add_dataframe_asset(name)
            batch = asset.add_batch_definition_whole_dataframe(name).get_batch({"dataframe": frame})
            found = batch.validate(suite, result_format=form).to_json_dict()["results"]
            results |= {r["expectation_config"]["meta"]["position"]: r for r in found}
    for result in results.values():
        if result["exception_info"].get("raised_exception"):
            raise RuntimeError(result["exception_info"]["exception_message"])
    return [results[i] for i in range(len(planned))]


def _expectation(planned: Planned, position: int) -> Any:
    import great_expectations.expectations as gx

    arguments = dict(planned.arguments)
    if not planned.kind.startswith("Table"):
        arguments["column"] = planned.column
    return getattr(gx, f"Expect{planned.kind}")(meta={"position": position}, **arguments)

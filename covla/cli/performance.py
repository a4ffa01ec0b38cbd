"""`covla performance`."""

from dataclasses import asdict
from typing import Any

import click

from covla.cli.options import as_of_option, json_option, window_option
from covla.cli.output import log, print_result


@click.command()
@window_option()
@as_of_option
@json_option
def performance(window: Any, as_of: Any, as_json: bool) -> None:
    """How each served version does on the posts that it predicted in a window.

    Accuracy and macro-F1 where labels came, with 95 % intervals; and an estimate from the
    probabilities for all posts. Goes to the versions' MLflow runs, to /metrics of `covla ingest`,
    and to a JSON report.
    """
    from covla.settings import get_settings
    from monitoring.live_report import live_report

    report = live_report(window, get_settings(), as_of=as_of)
    if as_json:
        print_result(asdict(report), as_json=True)
        return
    log(f"performance: {report.report}")
    rows = {}
    for one in report.versions:
        measured = one.accuracy
        rows[one.model_version] = {
            "posts": one.posts,
            "labelled": one.labelled,
            "accuracy": "" if measured is None else _interval(measured),
            "macro-F1": "" if one.macro_f1 is None else f"{one.macro_f1:.3f}",
            "estimated accuracy": _interval(one.estimated_accuracy),
        }
    print_result({"window": report.window, "version": rows}, as_json=False)


def _interval(found: Any) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"

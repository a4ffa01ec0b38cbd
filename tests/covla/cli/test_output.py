"""What a command prints for people."""

import pytest

from covla.cli.output import print_result


def test_a_result_is_a_list_and_tables_for_people_and_one_line_of_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    value = {
        "accuracy": 0.5,
        "per_label": {"beach": {"f1": 0.25, "n": 3}, "gym": {"f1": 1.0}},
        "ms": {"p50": 1.0, "p99": 2.5},
    }
    print_result(value, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "accuracy  0.5000",
        "ms        p50 1.0000, p99 2.5000",
        "",
        "per_label      f1  n",
        "beach      0.2500  3",
        "gym        1.0000   ",
    ]
    print_result(value, as_json=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith('{"accuracy":0.5,')

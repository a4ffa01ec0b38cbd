"""The file of expectations: what a person may write, and one line for what they may not."""

from pathlib import Path

import pytest

from covla.errors import CovlaError
from covla.settings import Settings
from features.validation.rules import NAMES, load_rules


def own(folder: Path, text: str) -> Settings:
    """Settings with a file of expectations of one's own."""
    path = folder / "mine.yaml"
    path.write_text(text)
    return Settings(state=folder, expectations=path)


def test_the_shipped_file_has_every_expectation() -> None:
    assert list(load_rules(Settings())) == list(NAMES)


def test_a_file_of_ones_own_holds_only_what_differs(tmp_path: Path) -> None:
    default = load_rules(Settings())
    rules = load_rules(
        own(tmp_path, "volume: {severity: warn}\nduplicates: {severity: block, limit: 0.9}\n")
    )
    assert (rules["volume"].severity, rules["volume"].limit) == ("warn", default["volume"].limit)
    assert rules["duplicates"].model_dump() == {
        "severity": "block", "limit": 0.9, "block_above": None,
    }  # fmt: skip
    changed = {name for name, rule in rules.items() if rule != default[name]}
    assert changed == {"volume", "duplicates"}
    assert load_rules(own(tmp_path, "# nothing\n")) == default


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("volum: {severity: warn}", "'volum' is no expectation; there are: volume, dead_letters"),
        ("volume: {severity: fail}", "volume: severity: .*'block', 'quarantine' or 'warn'.*'fail'"),
        ("volume: {limit: 0.5}", "volume: limit: 0.5 is not between 1 and"),
        ("dead_letters: {limit: 7}", "dead_letters: limit: 7 is not between 0 and 1"),
        ("dead_letters: {limit: .nan}", "dead_letters: limit: .*finite"),
        ("dead_letters: {limit: much}", "dead_letters: limit: .*'much'"),
        ("volume: {severity: quarantine}", "volume: severity: it names no posts to quarantine"),
        ("image_blur: {block_above: 0.5}", "image_blur: block_above: it goes with the severity"),
        ("duplicates: {colour: red}", "duplicates: colour: Extra inputs"),
        ("duplicates: warn", "duplicates: 'warn' is no severity and limit"),
        ("- volume", "it is no mapping of expectations"),
        ("volume: [", "line 1"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CovlaError, match=said) as caught:
        load_rules(own(tmp_path, text))
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_the_file_that_the_how_to_shows_can_be_used(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to.md").read_text(encoding="utf-8")
    text = page.partition("## Choose what validation blocks")[2].split("```")[1]
    rules = load_rules(own(tmp_path, text))
    assert rules["duplicates"].block_above == 0.8


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CovlaError, match=r"none\.yaml"):
        load_rules(Settings(state=tmp_path, expectations=tmp_path / "none.yaml"))

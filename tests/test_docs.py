"""What the documentation points at is there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "bench/results/**/*.md")
    for path in ROOT.glob(pattern)
)
_LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")
# `name` or `Class.name` of [file](link)
_NAMED = re.compile(r"`([A-Za-z_][\w.]*)` of \[[^\]]+\]\(([^)#]+\.py)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    links = _LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_functions_are_in_the_files_that_the_architecture_names() -> None:
    page = ROOT / "docs" / "architecture.md"
    named = _NAMED.findall(page.read_text(encoding="utf-8"))
    assert len(named) > 20
    for name, link in named:
        code = (page.parent / link).read_text(encoding="utf-8")
        for part in name.split("."):
            assert re.search(rf"\b(def|class) {part}\b|^{part} = ", code, re.M), (name, link)


def test_no_page_names_a_module_that_is_gone() -> None:
    """`covla/...py` in prose, outside the changelog, which tells of moves."""
    for page in PAGES:
        if page.name == "CHANGELOG.md" or "results" in page.parts:
            continue
        text = page.read_text(encoding="utf-8")
        for path in re.findall(
            r"(?<!/)\b(?:tests/)?(?:covla|features|services|monitoring)/[\w/]+\.py\b", text
        ):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_commands_of_the_readme_are_in_the_makefile() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in sorted(set(re.findall(r"`?\bmake ([a-z]+)\b", readme))):
        done = subprocess.run(
            ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"make {target}: {done.stderr}"

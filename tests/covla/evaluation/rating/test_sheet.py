"""The sheet is blind: nothing but texts, images and choices reaches a rater."""

import base64
import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from covla.errors import CovlaError
from covla.evaluation.rating.sheet import write_sheet
from covla.posts.taxonomy import load_taxonomy
from covla.settings import Settings


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def _data(page: str) -> Any:
    found = re.search(r"const DATA = (.*);\n", page)
    assert found
    return json.loads(found[1])


def test_raters_get_the_same_bytes_whatever_the_labels_authors_ids_and_times(draw: Any) -> None:
    first, second = draw(), draw(prefix="other", author="hidden", shift=1)
    assert _files(first.out / "raters") == _files(second.out / "raters")
    assert json.loads(first.key.read_text()) != json.loads(second.key.read_text())


def test_no_label_id_author_or_metadata_is_anywhere_in_it(draw: Any) -> None:
    rated = draw(prefix="post", author="tell-tale", secret="tell-tale")
    for name, content in _files(rated.out / "raters").items():
        for word in (b"tell-tale", b"post-", b"2026", b"pair", b"Exif", b"model", b"predict"):
            assert word not in content, (name, word)
    labels = [label.encode() for label in load_taxonomy().names]
    assert not any(label in rated.csv.read_bytes() for label in labels)
    page = (rated.out / "raters" / "sheet.html").read_text()
    data = _data(page)
    assert {tuple(sorted(item)) for item in data["items"]} == {("item", "picture", "text")}
    assert [label["name"] for label in data["labels"]] == load_taxonomy().names
    # The choices are the taxonomy in its order, once; nothing else on the page names a label.
    rest = page.replace(re.findall(r"const DATA = .*;\n", page)[0], "")
    assert not any(f"{label.decode()}" in rest for label in labels if b"_" in label)


def test_both_forms_and_the_key_speak_of_the_same_posts(rated: Any) -> None:
    rows, key = _rows(rated.csv), json.loads(rated.key.read_text())
    data = _data((rated.out / "raters" / "sheet.html").read_text())
    assert [row["item"] for row in rows] == list(key["items"]) == [i["item"] for i in data["items"]]
    assert {row["sheet"] for row in rows} == {key["sheet"], data["sheet"]}
    assert len(rows) == 12
    posts = {}
    for line in (rated.posts / "posts.jsonl").read_text().splitlines():
        record = json.loads(line)
        posts[record["post_id"]] = record
    for row, item in zip(rows, data["items"], strict=True):
        post = posts[key["items"][row["item"]]["post_id"]]
        assert key["items"][row["item"]]["label"] == post["label"]
        assert item["text"] == post["text"].strip() or post["text"] == item["text"]
        assert row["text"] == ("'" + " ".join(post["text"].split()) if post["text"] else "")
        assert bool(row["picture"]) == ("image" in post) == (item["picture"] is not None)
        if row["picture"]:
            content = (rated.out / "raters" / row["picture"]).read_bytes()
            assert base64.b64decode(item["picture"]) == content
            with Image.open(io.BytesIO(content)) as picture:
                assert picture.size == (768, 461)
                assert not picture.getexif()
        assert row["rater"] == row["answer"] == ""
    assert rated.key.stat().st_mode & 0o077 == 0


def test_the_seed_decides_which_posts_in_which_order(draw: Any) -> None:
    first, again, other = draw(), draw(), draw(seed=4)
    ids = [
        [item["post_id"] for item in json.loads(rated.key.read_text())["items"].values()]
        for rated in (first, again, other)
    ]
    assert ids[0] == ids[1] != ids[2]
    assert len(set(ids[0])) == 12
    assert ids[0] != sorted(ids[0])


def test_a_text_cannot_end_the_pages_script(rated: Any) -> None:
    page = (rated.out / "raters" / "sheet.html").read_text()
    assert page.count("</script>") == 1
    assert "unsafe" not in page
    assert not re.search(r"https?://", page)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 21}, "--n: 21 posts of split 'val'; there are 20"),
        ({"split": "test"}, "no post of split 'test'"),
    ],
)
def test_what_cannot_be_drawn_is_said_and_nothing_is_written(
    rated: Any, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    asked = {"split": "val", "n": 5, "seed": 0} | change
    with pytest.raises(CovlaError, match=re.escape(said)):
        write_sheet(
            rated.posts, **asked, out=tmp_path / "out", taxonomy=load_taxonomy(),
            settings=Settings(state=tmp_path),
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_an_old_sheet_is_never_overwritten_and_labels_are_checked(
    draw: Any, tmp_path: Path
) -> None:
    rated = draw()
    settings = Settings(state=tmp_path)
    with pytest.raises(CovlaError, match="there already"):
        write_sheet(rated.posts, "val", 5, 0, rated.out, load_taxonomy(), settings)
    lines = (rated.posts / "posts.jsonl").read_text().replace('"shop"', '"pub"')
    (rated.posts / "posts.jsonl").write_text(lines)
    with pytest.raises(CovlaError, match="label: 'pub' is not one of"):
        write_sheet(rated.posts, "val", 20, 0, tmp_path / "new", load_taxonomy(), settings)
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".new*"))


def _with_pictures(folder: Path, contents: list[bytes]) -> Path:
    (folder / "images").mkdir(parents=True)
    lines = []
    for i, content in enumerate(contents):
        (folder / "images" / f"{i}.png").write_bytes(content)
        lines.append(
            {"post_id": f"p{i}", "created_at": "2026-05-01T12:00:00Z", "text": f"words {i}",
             "image": f"images/{i}.png", "split": "val"}
        )  # fmt: skip
    (folder / "posts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def test_posts_whose_picture_cannot_be_read_are_left_out_and_others_drawn(tmp_path: Path) -> None:
    clear = io.BytesIO()
    Image.new("RGBA", (20, 10), (0, 0, 0, 0)).save(clear, "PNG")
    odd = io.BytesIO()
    exif = (
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x1a\x01\x05\0\x01\0\0\0\x1a\0\0\0\0\0\0\0\xb8\xff\xff\xff"
    )
    Image.new("RGB", (20, 10), "white").save(odd, "JPEG", exif=exif)
    pictures = [clear.getvalue(), b"no picture", odd.getvalue(), odd.getvalue()[:200]]
    posts = _with_pictures(tmp_path / "posts", pictures)
    settings = Settings(state=tmp_path / "state")
    done = write_sheet(posts, "val", 2, 0, tmp_path / "out", load_taxonomy(), settings)
    assert done.posts == 2
    assert done.left_out <= 2
    drawn = json.loads((tmp_path / "out" / "key.json").read_text())["items"].values()
    assert {item["post_id"] for item in drawn} == {"p0", "p2"}
    for path in (tmp_path / "out" / "raters" / "pictures").iterdir():
        with Image.open(path) as picture:
            assert picture.getpixel((5, 5)) == (255, 255, 255)
    with pytest.raises(CovlaError, match=r"--n: 3 posts of split 'val'; 2 of 4 can be used"):
        write_sheet(posts, "val", 3, 0, tmp_path / "more", load_taxonomy(), settings)
    assert not (tmp_path / "more").exists()

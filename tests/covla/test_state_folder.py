"""The address of a SQLite file, whatever its folder is called."""

import os
from pathlib import Path

import pytest
from sqlalchemy import make_url

from covla.state_folder import sqlite_uri


@pytest.mark.parametrize(
    "path", ["/a b/x.db", "/100%/x.db", "/a%20b/x.db", "/a?b=c/x.db", "/ä#/x.db"]
)
def test_sqlalchemy_opens_the_very_file(path: str) -> None:
    database = make_url(sqlite_uri(Path(path))).database
    assert database is not None
    assert os.path.normpath(database).replace("//", "/") == path

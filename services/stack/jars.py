"""Apache Kafka's jars: fetched from Maven Central once per user, checked before every start."""

import hashlib
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path

import click

from covla.errors import CovlaError, ServiceUnavailable
from covla.files import folder_aside
from covla.settings import Settings
from services.stack.processes import locked

VERSION = "4.2.2"
COORDINATES = (
    f"org.apache.kafka:kafka_2.13:{VERSION}+org.apache.kafka:kafka-tools:{VERSION}"
    "+org.slf4j:slf4j-simple:2.0.20"
)


def pinned() -> dict[str, str]:
    """File name -> SHA-256, for exactly the jars that the broker's class path holds."""
    text = (files("services.stack") / "kafka_jars.sha256").read_text(encoding="utf-8")
    return {name: digest for digest, name in (line.split() for line in text.splitlines())}


def verify(folder: Path) -> list[Path]:
    """Check every jar against its pinned sum (40 MB, under 0.1 s) and return the class path.

    Raises:
        CovlaError: a jar is missing or differs.
    """
    jars = []
    for name, digest in pinned().items():
        jar = folder / name
        if not jar.is_file():
            raise CovlaError(f"Kafka's {name} is missing in {folder}", hint=_again(folder))
        with jar.open("rb") as handle:
            actual = hashlib.file_digest(handle, "sha256").hexdigest()
        if actual != digest:
            raise CovlaError(
                f"Kafka's {name} in {folder} is not the file that was released: "
                f"SHA-256 {actual[:12]}... instead of {digest[:12]}...",
                hint=_again(folder),
            )
        jars.append(jar)
    return jars


def install(settings: Settings) -> list[Path]:
    """The verified class path, downloaded first where it is not there yet.

    Raises:
        CovlaError: a jar is missing or differs from its pinned sum.
        ServiceUnavailable: Maven Central cannot be reached.
    """
    root = settings.kafka_jars.expanduser().absolute()
    # Another list of jars is another folder.
    listed = hashlib.sha256("".join(pinned().values()).encode()).hexdigest()[:8]
    folder = root / f"kafka-{VERSION}-{listed}"
    if not folder.is_dir():
        with locked(root):
            if not folder.is_dir():  # another process may have installed it while we waited
                _download(root, folder)
    return verify(folder)


def _download(root: Path, folder: Path) -> None:
    import jgo

    click.echo(f"fetching Apache Kafka {VERSION} from Maven Central, 50 MB, once", err=True)
    with (
        tempfile.TemporaryDirectory(dir=root, prefix="draft-") as name,
        folder_aside(folder, Path(name) / "jars") as draft,
    ):
        draft.mkdir()
        try:
            built = jgo.build(COORDINATES, cache_dir=Path(name) / "jgo")
        except (RuntimeError, OSError) as error:
            raise ServiceUnavailable(
                f"Kafka's jars could not be fetched from Maven Central ({error})",
                hint="Check the network, or set COVLA_KAFKA_BOOTSTRAP to a broker that runs",
            ) from error
        # jgo sorts jars into two folders, and may link them: copies make the cache stand alone.
        for jar in built.path.rglob("*.jar"):
            shutil.copyfile(jar, draft / jar.name)
        verify(draft)


def _again(folder: Path) -> str:
    return f"Delete {folder} to fetch it again; if that repeats, delete ~/.m2/repository too"

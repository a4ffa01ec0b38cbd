"""The place of every image in a folder, as JSON lines: python examples/predict_folder.py FOLDER

COVLA_API_KEY is the key, where the service asks for one; a second argument is its address.
"""

import json
import sys
from pathlib import Path

from covla.client import Client, PostError

KINDS = {".gif", ".jpeg", ".jpg", ".png", ".webp"}


def main(folder: Path, address: str | None = None) -> int:
    """Print a line for each image; the number of those that were refused."""
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in KINDS)
    posts = ({"image": path, "text": path.stem.replace("_", " ")} for path in images)
    refused = 0
    with Client(address) as client:
        for path, result in zip(images, client.predict_many(posts), strict=True):
            if isinstance(result, PostError):
                refused += 1
                row: dict[str, object] = {
                    "image": path.name,
                    "error": str(result),
                    "code": result.code,
                }
            else:
                probability = result.probabilities[result.label]
                row = {"image": path.name, "label": result.label, "probability": probability}
            sys.stdout.write(json.dumps(row) + "\n")
    return refused


if __name__ == "__main__":
    sys.exit(4 if main(Path(sys.argv[1]), *sys.argv[2:3]) else 0)

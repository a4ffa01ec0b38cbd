"""Libraries that print beside a run."""

import logging


def quiet() -> None:
    """Keep transformers' notices off stderr; errors still show."""
    from transformers.utils import logging as theirs

    theirs.set_verbosity_error()
    theirs.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)

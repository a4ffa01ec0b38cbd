"""A pretrained teacher's processor and weights, from a folder or the hub, ready on the device."""

from pathlib import Path
from typing import Any

import torch

from covla.errors import CovlaError
from covla.model.runtime.device import pick_device
from covla.settings import Settings
from covla.training.teachers.resolve import Teacher

DTYPE = {"cpu": torch.float32, "cuda": torch.bfloat16}
# Tied or not used: a base model is run without its language model head.
_UNUSED = ("lm_head.", "logit_scale", "logit_bias")


def load_pretrained(kind: Any, teacher: Teacher, settings: Settings) -> tuple[Any, Any]:
    """Model (eval, bf16 on a GPU, f32 on a CPU) and processor.

    Args:
        kind: the transformers auto class to load with.
        teacher: what to load. Nothing in its folder is ever run as code.

    Raises:
        CovlaError: they cannot be loaded, or the weights are not those of this architecture, in
            which case transformers would go on with random ones.
    """
    from transformers import AutoProcessor

    device = pick_device(settings.device)
    where: dict[str, Any] = {"trust_remote_code": False}
    if Path(teacher.source).is_dir():
        where["local_files_only"] = True
    else:
        where["revision"] = teacher.revision
    try:
        processor = AutoProcessor.from_pretrained(teacher.source, **where)
        model, report = kind.from_pretrained(
            teacher.source, dtype=DTYPE[device], output_loading_info=True, **where
        )
    except (OSError, ValueError, RuntimeError, ImportError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CovlaError(
            f"teacher: {teacher.name} cannot be loaded: {reason}",
            hint="The folder needs the weights, the processor and the tokenizer of one model",
        ) from error
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(_UNUSED))
    if missing:
        raise CovlaError(
            f"teacher: {teacher.name} lacks {len(missing)} of its weights, such as {missing[0]}",
            hint="Fetch or save it again",
        )
    for parameter in model.parameters():
        parameter.requires_grad_(requires_grad=False)
    return model.eval().to(device), processor

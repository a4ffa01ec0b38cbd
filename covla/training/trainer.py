"""Two stages on transformers' Trainer: contextual pretraining without labels, then fine-tuning."""

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import get_last_checkpoint

from covla.errors import CovlaError
from covla.files import write_aside
from covla.model.hf import CovlaModel
from covla.model.runtime.device import pick_device
from covla.training.collate import Collator
from covla.training.dataset import Example, Progress
from covla.training.recipe import Recipe


class Steps(TrainerCallback):  # type: ignore[misc]
    """Each step to a progress bar."""

    def __init__(self, name: str, progress: Progress) -> None:
        self.name, self.progress = name, progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """See TrainerCallback."""
        self.progress(self.name, state.global_step, state.max_steps)


class StageTrainer(Trainer):  # type: ignore[misc]
    """Logs each part of the loss beside the sum."""

    def __init__(self, stage: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stage = stage
        self.parts: dict[str, list[Tensor]] = {}

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The model's own loss; its parts are averaged until the next log line.

        Raises:
            CovlaError: it is no number.
        """
        out = model(**inputs)
        if not torch.isfinite(out.loss):
            parts = [name for name, value in (out.losses or {}).items() if not value.isfinite()]
            raise CovlaError(
                f"training: the loss is no number in stage {self.stage}, step "
                f"{self.state.global_step + 1} of {self.state.max_steps} "
                f"({', '.join(parts) or 'the sum of its parts'})",
                hint="Nothing was written. Lower the learning rate, or look at the posts and the "
                "teacher's vectors",
            )
        for name, value in (out.losses or {}).items():
            self.parts.setdefault(name, []).append(value.detach())
        return (out.loss, out) if kwargs.get("return_outputs") else out.loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Trainer's log line with the parts of the loss."""
        parts = {f"loss_{k}": float(torch.stack(v).mean()) for k, v in self.parts.items()}
        self.parts.clear()
        super().log({**logs, **parts}, *args, **kwargs)


def arguments(folder: str, work: Path | None, *, steps: int, every: int, **more: Any) -> Any:
    """TrainingArguments of any training here: `steps` of them, a checkpoint after `every`."""
    return TrainingArguments(
        output_dir=folder,
        max_steps=steps,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,
        save_strategy="no" if work is None else "steps",
        save_steps=every,
        save_total_limit=1,
        logging_steps=every,
        logging_nan_inf_filter=False,  # StageTrainer stops at the first such step
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        label_names=[],
        **more,
    )


def run_once(
    name: str, model: nn.Module, work: Path | None, trainer: Callable[[str], StageTrainer]
) -> None:
    """Train `model` in place. A training that was finished is loaded; one that was cut off goes on
    from its last checkpoint and ends with the same weights as one that never was.

    Args:
        work: checkpoints and the finished weights are kept here, by name; None keeps nothing.
        trainer: makes the trainer that keeps checkpoints in a folder.

    Raises:
        CovlaError: the loss is no number; it says at which step.
    """
    done = None if work is None else work / f"{name}.safetensors"
    if done is not None and done.exists():
        model.load_state_dict(load_file(done))
        return
    folder = tempfile.gettempdir() if work is None else str(work / name)
    begun = work is not None and Path(folder).is_dir()
    made = trainer(folder)
    made.remove_callback(PrinterCallback)  # stdout is for the result of a command
    made.train(resume_from_checkpoint=get_last_checkpoint(folder) if begun else None)
    if done is None:
        return
    with write_aside(done) as draft:
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, draft)


def run_stage(
    name: str,
    model: CovlaModel,
    examples: list[Example],
    recipe: Recipe,
    work: Path | None,
    *,
    epochs: int,
    share: float,
    device: str,
    pretraining: bool,
    progress: Progress,
    callbacks: list[Any],
) -> None:
    """`run_once` of a stage; checkpoints are made each epoch.

    Args:
        examples: those that this stage learns from, of which `share` are not copies: an epoch is
            as many steps as these take.
        device: cpu, cuda, or auto: a GPU where there is one. `model` stays there.

    Raises:
        CovlaError: the loss is no number; it says at which step.
    """
    steps = math.ceil(len(examples) * share / recipe.batch)

    def trainer(folder: str) -> StageTrainer:
        set_seed(recipe.seed)
        args = arguments(
            folder,
            work,
            steps=epochs * steps,
            every=steps,
            per_device_train_batch_size=recipe.batch,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            seed=recipe.seed,
            data_seed=recipe.seed,
            use_cpu=pick_device(device) == "cpu",
        )
        return StageTrainer(
            name,
            model=model,
            args=args,
            train_dataset=examples,
            data_collator=Collator(model, pretraining=pretraining),
            callbacks=[Steps(name, progress), *callbacks],
        )

    run_once(name, model, work, trainer)

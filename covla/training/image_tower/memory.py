"""Whether a batch fits into memory, before the first step."""

import psutil
import torch
from torch import Tensor, nn

from covla.errors import CovlaError


def check_memory(student: nn.Module, one: dict[str, Tensor], batch: int, device: str) -> None:
    """Hold what a step at `batch` keeps for its backward pass against what is free.

    Args:
        student: on `device`.
        one: a batch of one.

    Raises:
        CovlaError: it does not fit; the hint names the batch that would.
    """
    kept: dict[int, int] = {}
    shared = {each.data_ptr() for each in (*student.parameters(), *student.buffers())}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in shared:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        student(**one)
    # Gradients and two moments of AdamW for each weight that learns.
    fixed = 3 * sum(each.nbytes for each in student.parameters() if each.requires_grad)
    each = max(1, sum(kept.values()))
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else psutil.virtual_memory().available
    if fixed + batch * each <= free:
        return
    fits = (free - fixed) // each
    raise CovlaError(
        f"towers: a batch of {batch} pictures needs {(fixed + batch * each) / 2**30:.1f} GiB, and "
        f"{free / 2**30:.1f} GiB are free",
        hint=f"Give --tower-batch {fits}" if fits > 0 else "Give --towers frozen, or --unfreeze 1",
    )

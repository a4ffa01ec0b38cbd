"""CoVLA: semantic location prediction on social posts.

The library: wire contracts, posts, the model, its training, evaluation and inference. `covla.cli`
is on top of everything; the rest imports none of `features`, `services` and `monitoring`.
"""

from covla.telemetry import switch_off

__version__ = "0.1.0"

switch_off()

"""CoVLA: semantic location prediction on social posts.

This package holds the wire contracts, the model and its training. It imports none of the
rooms that stand on it (`features`, `services`, `monitoring`).
"""

from covla.telemetry import switch_off

__version__ = "0.1.0"

switch_off()

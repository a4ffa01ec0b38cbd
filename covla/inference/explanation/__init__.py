"""Why a model answers as it does: attention, gate, and what changes when a part is hidden."""

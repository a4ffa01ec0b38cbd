"""The `covla` command. It may import any package; nothing imports it.

The top of each module here imports nothing heavier than click: `--help` loads it.
"""

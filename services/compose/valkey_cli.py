#!/opt/venv/bin/python
"""`valkey-cli [-h HOST] COMMAND ...`: the wheel of Valkey brings the server alone."""

import sys
from typing import Any

import valkey

host, command = "localhost", sys.argv[1:]
if command[0] == "-h":
    host, command = command[1], command[2:]
try:
    client: Any = valkey.Valkey(host, decode_responses=True)
    answer = client.execute_command(*command)
except valkey.ValkeyError as error:
    sys.exit(f"Could not connect to Valkey at {host}:6379: {error}")
print("PONG" if answer is True else answer)

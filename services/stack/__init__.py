"""The parts of the system as local processes, without a container."""

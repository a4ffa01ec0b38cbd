"""Posts before any network: read, checked, decoded, measured, split; and synthetic ones."""

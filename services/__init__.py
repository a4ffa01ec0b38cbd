"""What runs: the REST and stream services, and the local stack they stand on."""

"""Kafka: clients, a consumer that survives its broker, dead letters, a worker's health."""

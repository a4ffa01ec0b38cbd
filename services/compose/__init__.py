"""docker-compose.yml without a container engine: each service as processes in namespaces."""

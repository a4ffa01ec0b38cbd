"""The wire contracts: what is on the topics and in the answers of the REST service."""

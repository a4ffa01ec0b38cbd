"""The feature store: from Kafka to Feast, and from Feast to a training set."""

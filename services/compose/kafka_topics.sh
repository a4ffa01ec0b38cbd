#!/bin/sh
exec /opt/venv/bin/python -m services.compose.kafka_image org.apache.kafka.tools.TopicCommand "$@"

#!/bin/sh
# Before any other part of Airflow: its tables, and the one user of .env with the password of .env.
set -eu
airflow db migrate
airflow users create --role Admin --username "$AIRFLOW_USER" --password "$AIRFLOW_PASSWORD" \
  --firstname Airflow --lastname Admin --email "$AIRFLOW_USER@localhost"
# A user that was there keeps the old password until here.
airflow users reset-password --username "$AIRFLOW_USER" --password "$AIRFLOW_PASSWORD"

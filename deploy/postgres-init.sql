-- MLflow uses the default database; Airflow gets one of its own.
CREATE DATABASE airflow;

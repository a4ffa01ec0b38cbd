"""What the DAG files share. Airflow has their folder on its path, and reads no DAGs in here."""

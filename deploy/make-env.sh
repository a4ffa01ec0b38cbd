#!/bin/sh
# Writes the secrets that docker-compose.yml needs to a file, .env unless another one is named.
# What is in it already stays, so that it can be run again after an upgrade.
set -eu
file=${1:-.env}
umask 077
touch "$file"

add() { # NAME VALUE
  grep -q "^$1=" "$file" || { printf '%s=%s\n' "$1" "$2" >>"$file"; echo "$file: made $1"; }
}
random() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

add COVLA_AUTHOR_KEY "$(random)" # the same on every machine, never changed
add POSTGRES_PASSWORD "$(random)"
add AIRFLOW_USER admin
add AIRFLOW_PASSWORD "$(random)"
add AIRFLOW_FERNET_KEY "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')"
add AIRFLOW_SECRET_KEY "$(random)"
add AIRFLOW_JWT_SECRET "$(random)"
add GRAFANA_PASSWORD "$(random)"
add ALERT_WEBHOOK_URL http://alert-webhook:9095/ # put your own here
echo "$file is complete; only you can read it. Keep a copy: without it the stored data cannot be used."

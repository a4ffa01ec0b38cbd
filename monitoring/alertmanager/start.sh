#!/bin/sh
# Alertmanager reads no variable of its environment: the webhook's address is written for it.
set -eu
url=$(printf '%s' "$ALERT_WEBHOOK_URL" | sed 's/[&|\\]/\\&/g')
sed "s|http://alert-webhook:9095/|$url|" /etc/alertmanager/alertmanager.yml >/tmp/alertmanager.yml
exec alertmanager --config.file=/tmp/alertmanager.yml "$@"

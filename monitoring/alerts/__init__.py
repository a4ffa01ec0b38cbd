"""Alerts: each opens once and closes once, is kept in the state folder, and leads somewhere: to
the alerts topic, which starts a retrain, and to a webhook, which reaches people."""

from monitoring.alerts.opening import close_alert, open_alert

__all__ = ["close_alert", "open_alert"]

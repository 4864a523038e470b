"""Monitor: what was asked and answered, compared with what was learnt; and who is told, and what is done about it."""

from penstock.monitor.options import Drift, Retrain, drift, retrain
from penstock.monitor.telling import command, email, webhook

__all__ = ["Drift", "Retrain", "command", "drift", "email", "retrain", "webhook"]

"""Monitor: what was asked and answered, compared with what was learnt."""

from penstock.monitor.options import Drift, drift

__all__ = ["Drift", "drift"]

"""Monitor: what was asked and answered, compared with what was learnt."""

from penstock.monitor.compare import ColumnDrift, compare_columns
from penstock.monitor.options import Drift, drift
from penstock.monitor.profile import Profile, profile_of

__all__ = ["ColumnDrift", "Drift", "Profile", "compare_columns", "drift", "profile_of"]

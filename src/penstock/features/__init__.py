"""Features: columns made from columns, and how each kind of column reaches a learner."""

from penstock.features.definitions import Calendar, Derive, Feature, apply_features, calendar, derive
from penstock.features.encoding import Encoding, fit_encoding

__all__ = ["Calendar", "Derive", "Encoding", "Feature", "apply_features", "calendar", "derive", "fit_encoding"]

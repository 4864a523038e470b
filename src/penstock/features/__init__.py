"""Features: columns made from columns, declared once for training and serving."""

from penstock.features.definitions import Calendar, Derive, Feature, calendar, cross, derive
from penstock.features.relations import Asof, Join, Window, asof, join, lag, rate, rolling, time_since, window

__all__ = [
    "Asof",
    "Calendar",
    "Derive",
    "Feature",
    "Join",
    "Window",
    "asof",
    "calendar",
    "cross",
    "derive",
    "join",
    "lag",
    "rate",
    "rolling",
    "time_since",
    "window",
]

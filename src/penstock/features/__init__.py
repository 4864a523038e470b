"""Features: columns made from columns, declared once for training and serving."""

from penstock.features.columns import Categories, Select, Text, categories, select, text
from penstock.features.definitions import Calendar, Derive, Feature, calendar, cross, derive, forward_fill
from penstock.features.relations import Asof, Join, Window, asof, join, lag, rate, rolling, time_since, window

__all__ = [
    "Asof",
    "Calendar",
    "Categories",
    "Derive",
    "Feature",
    "Join",
    "Select",
    "Text",
    "Window",
    "asof",
    "calendar",
    "categories",
    "cross",
    "derive",
    "forward_fill",
    "join",
    "lag",
    "rate",
    "rolling",
    "select",
    "text",
    "time_since",
    "window",
]

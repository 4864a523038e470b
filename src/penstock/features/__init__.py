"""Features: columns made from columns, declared once for training and serving."""

from penstock.features.definitions import Calendar, Derive, Feature, calendar, derive

__all__ = ["Calendar", "Derive", "Feature", "calendar", "derive"]

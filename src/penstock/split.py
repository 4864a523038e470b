"""How test rows are chosen: what an author writes under ``split=``."""

from penstock.types.split import Split, group, random, stratified, time

__all__ = ["Split", "group", "random", "stratified", "time"]

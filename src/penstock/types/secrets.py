"""Secrets stand in the environment only: ``${NAME}`` in what an author writes, filled in at the moment of use."""

from __future__ import annotations

import os
import re

from penstock.errors import InputError

_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def names_in(text: str) -> list[str]:
    """Return the names of the secrets that a text asks for.

    Examples
    --------
    >>> names_in("postgresql://${USER}:${PASSWORD}@host/db")
    ['USER', 'PASSWORD']
    """
    return _NAME.findall(text)


def filled(text: str, who: str) -> str:
    """Fill in the secrets of a text.

    Raises
    ------
    InputError
        When one is not in the environment.
    """

    def look_up(found: re.Match[str]) -> str:
        value = os.environ.get(found[1])
        if value is None:
            raise InputError(f"{who}: the environment has no {found[1]}; set it before the run: export {found[1]}=...")
        return value

    return _NAME.sub(look_up, text)


def hidden(message: str, *templates: str) -> str:
    """Put the names of secrets back where a message shows their values.

    Examples
    --------
    >>> os.environ["PENSTOCK_DOCTEST"] = "hush-hush"
    >>> hidden("cannot log in with hush-hush", "postgresql://u:${PENSTOCK_DOCTEST}@h/db")
    'cannot log in with ${PENSTOCK_DOCTEST}'
    """
    for template in templates:
        for name in names_in(template):
            value = os.environ.get(name)
            if value:
                message = message.replace(value, f"${{{name}}}")
    return message

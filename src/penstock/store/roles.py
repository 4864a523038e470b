"""Three roles of a team's database: who reads, who runs pipelines, who decides what answers.

The database itself holds to them, whatever program asks. A reader sees everything; an author also runs pipelines, whose
models become versions; a deployer also promotes, rolls back, makes keys, decides, and cleans. What authors and deployers add
to the history of models they can neither change nor remove.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.store.schema import metadata

READER, AUTHOR, DEPLOYER = "penstock_reader", "penstock_author", "penstock_deployer"
_AUTHORS: Mapping[str, str] = {
    "runs": "INSERT, UPDATE",
    "steps": "INSERT",
    "notes": "INSERT, DELETE",
    "artifacts": "INSERT, UPDATE",
    "lineage": "INSERT",
    "sources": "INSERT",
    "claims": "INSERT, UPDATE, DELETE",
    "models": "INSERT",
    "alerts": "INSERT",
    "file_digests": "INSERT, UPDATE",
}
_DEPLOYERS: Mapping[str, str] = {
    "models": "UPDATE",
    "deployments": "INSERT",
    "rollouts": "INSERT",
    "api_keys": "INSERT, UPDATE",
    "decisions": "INSERT, UPDATE",
    "runs": "DELETE",
    "steps": "DELETE",
    "artifacts": "DELETE",
    "lineage": "DELETE",
}


def statements() -> list[str]:
    """Return the SQL that makes the roles, for PostgreSQL; to be run again after an upgrade that adds tables.

    Examples
    --------
    >>> statements()[-1]
    'GRANT DELETE ON lineage TO penstock_deployer;'
    """
    found = [
        f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
        for role in (READER, AUTHOR, DEPLOYER)
    ]
    tables = ", ".join([*sorted(metadata.tables), "alembic_version"])
    found += [
        f"GRANT {READER} TO {AUTHOR};",
        f"GRANT {AUTHOR} TO {DEPLOYER};",
        f"GRANT USAGE ON SCHEMA public TO {READER};",
        f"GRANT SELECT ON {tables} TO {READER};",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {AUTHOR};",
    ]
    found += [f"GRANT {rights} ON {table} TO {AUTHOR};" for table, rights in _AUTHORS.items()]
    found += [f"GRANT {rights} ON {table} TO {DEPLOYER};" for table, rights in _DEPLOYERS.items()]
    return found


def role_for(right: str, table: str) -> str:
    """Return in words the least role that has a right on a table.

    Examples
    --------
    >>> role_for("INSERT", "artifacts"), role_for("DELETE", "artifacts")
    ('the role penstock_author', 'the role penstock_deployer')
    >>> role_for("SELECT", "runs"), role_for("CREATE", "public")
    ('the role penstock_reader', 'the owner of the tables')
    """
    if right == "SELECT":
        return f"the role {READER}"
    for role, rights in ((AUTHOR, _AUTHORS), (DEPLOYER, _DEPLOYERS)):
        if right in rights.get(table, ""):
            return f"the role {role}"
    return "the owner of the tables"

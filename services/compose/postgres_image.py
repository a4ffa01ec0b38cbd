"""What the image postgres does when it starts: on an empty volume a cluster with a password, a
database and the scripts of /docker-entrypoint-initdb.d; then the server."""

import os
import subprocess
import tempfile
from pathlib import Path

DATA = Path("/var/lib/postgresql/18/docker")
SCRIPTS = Path("/docker-entrypoint-initdb.d")


def _initialise() -> None:
    DATA.mkdir(parents=True, mode=0o700)
    with tempfile.NamedTemporaryFile("w") as password:
        password.write(os.environ["POSTGRES_PASSWORD"])
        password.flush()
        cluster = ["initdb", "-D", str(DATA), "-U", "postgres", "--pwfile", password.name]
        cluster += ["--auth-host=scram-sha-256", "--auth-local=trust", "-E", "UTF8"]
        subprocess.run([*cluster, "--locale=C.UTF-8"], check=True)
    with (DATA / "pg_hba.conf").open("a") as rules:
        rules.write("host all all all scram-sha-256\n")
    # Reached by its socket alone until it is whole.
    control = ["pg_ctl", "-D", str(DATA), "-w", "-o"]
    subprocess.run([*control, "-c listen_addresses='' -k /tmp", "start"], check=True)
    psql = ["psql", "-h", "/tmp", "-U", "postgres", "-v", "ON_ERROR_STOP=1"]  # noqa: S108
    database = os.environ.get("POSTGRES_DB", "postgres")
    if database != "postgres":
        subprocess.run([*psql, "-c", f'CREATE DATABASE "{database}"'], check=True)
    for script in sorted(SCRIPTS.glob("*.sql")):
        subprocess.run([*psql, "-d", database, "-f", str(script)], check=True)
    subprocess.run(["pg_ctl", "-D", str(DATA), "-w", "-m", "fast", "stop"], check=True)


def main() -> None:
    """Become the server."""
    if not (DATA / "PG_VERSION").exists():
        _initialise()
    os.execvp("postgres", ["postgres", "-D", str(DATA), "-c", "listen_addresses=*", "-k", "/tmp"])  # noqa: S606, S108


if __name__ == "__main__":
    main()

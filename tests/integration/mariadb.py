"""
A private MariaDB: the truth for everything on the wire that Doris and MySQL have in common. No test
needs Doris's own behaviour from it; that is the stand-in's.
"""

import shutil
import subprocess

import procs

USER = "app"
PASSWORD = "app's secret"
INSTALL_TRIES = 3
# As tests/standin and the facts have Doris: no user may be named by host.
HOSTS = ("localhost", "127.0.0.1")


class MariaDB(procs.Process):
    """mariadbd on a free port, users root (no password) and USER, database `test`."""

    def __init__(self, directory, options=()):
        self.port = procs.free_port()
        self.data = directory / "data"
        self.general_log = directory / "general.log"
        super().__init__("mariadbd", directory, [
            "/usr/sbin/mariadbd", "--no-defaults", "--user=root", "--datadir=%s" % self.data,
            "--port=%d" % self.port, "--bind-address=127.0.0.1", "--socket=%s/s" % directory,
            "--skip-name-resolve", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M",
            "--max-allowed-packet=1G", "--max-connections=600", "--local-infile=1",
            "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin",
            "--connect-timeout=300",  # it is sluice that shall end what does not log in
            "--general-log-file=%s" % self.general_log, *options])

    def start(self):
        if not self.data.exists():
            self._install()
            made = True
        else:
            made = False
        super().start()
        procs.wait_until(self._answers, 30, "an answer of mariadbd")
        if made:
            self._create_users()

    def _install(self):
        """It has failed once in thousands of times, beside others, and did not say why: three tries."""
        for _ in range(INSTALL_TRIES):
            result = subprocess.run(
                ["mariadb-install-db", "--no-defaults", "--user=root", "--skip-test-db",
                 "--auth-root-authentication-method=normal", "--innodb-buffer-pool-size=64M",
                 "--innodb-log-file-size=16M", "--innodb-use-native-aio=0",
                 "--datadir=%s" % self.data], capture_output=True, text=True)
            if result.returncode == 0:
                return
            shutil.rmtree(self.data, ignore_errors=True)
        raise procs.ProcessError("mariadb-install-db failed %d times: %s"
                                 % (INSTALL_TRIES, (result.stdout + result.stderr)[-3000:]))

    def _answers(self):
        self.must_live()
        try:
            self.connect().close()
        except procs.pymysql.OperationalError:
            return False
        return True

    def _create_users(self):
        with self.connect() as c, c.cursor() as cursor:
            cursor.execute("CREATE DATABASE test")
            for host in HOSTS:
                for name, secret in ((USER, PASSWORD), ("other", "other")):
                    cursor.execute("CREATE USER %s@%s IDENTIFIED BY %s", (name, host, secret))
                    cursor.execute("GRANT ALL ON *.* TO %s@%s WITH GRANT OPTION", (name, host))

    def connect(self, user="root", password="", db=None, **more):
        return procs.connect(self.port, user, password, db, **more)

    def statements(self):
        """The general log as it is now."""
        return self.general_log.read_bytes() if self.general_log.exists() else b""

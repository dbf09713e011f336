# SPDX-License-Identifier: Apache-2.0
"""common/db against a server that is killed, frozen and locked, in clear and over TLS."""
import subprocess

import pytest
from integration.program import run_program
from peers.fixtures import Database


def test_db(database):
    run_program("test_db", database, database.create("guts_db"))


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture
def tls_database(tmp_path):
    openssl(tmp_path, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
            "/CN=guts test authority", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(tmp_path, "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout",
            "server.key", "-out", "server.csr")
    (tmp_path / "names").write_text("subjectAltName = IP:127.0.0.1, DNS:localhost\n")
    openssl(tmp_path, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-days", "2", "-extfile", "names", "-out", "server.pem")
    for path in (tmp_path, tmp_path / "server.key", tmp_path / "server.pem", tmp_path / "ca.pem"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    peer = Database(tmp_path / "db")
    peer.start(f"--ssl-cert={tmp_path}/server.pem", f"--ssl-key={tmp_path}/server.key",
               f"--ssl-ca={tmp_path}/ca.pem", "--require-secure-transport=ON")
    yield peer
    peer.stop()


def test_db_over_tls(tls_database, tmp_path):
    run_program("test_db", tls_database, tls_database.name, tls_ca=tmp_path / "ca.pem")


def test_a_server_of_another_authority_is_refused(tls_database, tmp_path):
    openssl(tmp_path, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
            "/CN=another", "-keyout", "other.key", "-out", "other.pem")
    with pytest.raises(AssertionError, match="(?i)(certificate|tls|ssl)"):
        run_program("test_db", tls_database, tls_database.name, tls_ca=tmp_path / "other.pem")

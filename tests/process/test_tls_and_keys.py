"""TLS and keys on a real process: a verifying client gets in, and a key made later works."""

import signal
import ssl

import httpx
import pytest

from tests.process.conftest import scripted
from tests.process.test_drain import until
from tests.unit.test_keys import KEY, OTHER, entry, written
from tests.unit.test_serve import certificate

pytestmark = pytest.mark.slow


def test_a_client_that_verifies_the_certificate_is_served_and_keys_change_while_it_runs(
    tmp_path, monkeypatch
):
    cert, key = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))  # whom the readiness probe of the test trusts
    keys = written(tmp_path, entry("a"))
    settings = {"tls_cert": cert, "tls_key": key, "keys": keys}
    with scripted(tmp_path / "log", scheme="https", **settings) as gateway:
        trusting = httpx.Client(verify=ssl.create_default_context(cafile=str(cert)), timeout=180)

        def status(key: str) -> int:
            headers = {"authorization": f"Bearer {key}"}
            url = f"{gateway.url}/generate"
            return trusting.post(url, json={"prompt": "where"}, headers=headers).status_code

        assert (status(KEY), status(OTHER)) == (200, 401)
        with pytest.raises(httpx.TransportError):
            httpx.get(gateway.url.replace("https", "http") + "/healthz")
        # Another key in the file: on SIGHUP at once, else within a second.
        keys.write_text(entry("b", OTHER))
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: (status(KEY), status(OTHER)) == (401, 200))
        keys.write_text("{")
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: "the keys stay as they were" in gateway.log.read_text())
        assert status(OTHER) == 200
        log = gateway.log.read_text()
        assert KEY not in log
        assert OTHER not in log

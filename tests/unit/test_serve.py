"""What `ucbd serve` refuses before it starts, and what `ucbd keys new` prints."""

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ucbd.app.cli import main
from ucbd.app.commands.serve import check_certificate, check_exposure, check_paths
from ucbd.app.keys import KeyRing
from ucbd.app.settings import Settings, SettingsInvalid, read_settings


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    address = x509.IPAddress(ip_address("127.0.0.1"))
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_on_loopback_nobody_needs_a_key(host):
    check_exposure(Settings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "gateway.example", ""])
def test_where_others_can_reach_it_keys_are_needed_or_a_word(host, tmp_path):
    with pytest.raises(SettingsInvalid, match=r"ucbd keys new NAME.*--public-without-keys"):
        check_exposure(Settings(host=host))
    check_exposure(Settings(host=host, public_without_keys=True))
    check_exposure(Settings(host=host, keys=tmp_path / "keys.jsonl"))


def test_a_public_start_without_keys_ends_with_exit_code_2(capsys):
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "host: 0.0.0.0 can be reached from other machines" in capsys.readouterr().err


def test_tls_needs_both_files_readable_and_of_one_pair(tmp_path):
    cert, key = certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, others_key = certificate(other)
    check_certificate(Settings(tls_cert=cert, tls_key=key))
    check_certificate(Settings())
    with pytest.raises(SettingsInvalid, match="tls_cert is given and tls_key is not"):
        read_settings(flags={"tls_cert": cert}, environment={})
    with pytest.raises(SettingsInvalid, match=r"tls_key: .*gone\.pem: must be a file"):
        check_paths(Settings(tls_cert=cert, tls_key=tmp_path / "gone.pem"))
    with pytest.raises(SettingsInvalid, match=r"cert\.pem and .*key\.pem: .*MISMATCH"):
        check_certificate(Settings(tls_cert=cert, tls_key=others_key))
    with pytest.raises(SettingsInvalid, match=r"key\.pem and .*cert\.pem: "):
        check_certificate(Settings(tls_cert=key, tls_key=cert))


def test_a_new_key_is_shown_once_and_its_line_holds_only_its_hash(tmp_path, capsys):
    keys = tmp_path / "keys.jsonl"
    arguments = ["--requests", "60", "--tokens", "9000", "--policies", "default, paper"]
    assert main(["keys", "new", "team-a", *arguments]) == 0
    first = capsys.readouterr()
    assert main(["keys", "new", "team-b"]) == 0
    keys.write_text(first.out + capsys.readouterr().out)
    key = first.err.strip().rsplit(" ", 1)[1]
    assert key not in first.out
    entry, other = (json.loads(line) for line in keys.read_text().splitlines())
    assert (entry["requests_per_minute"], entry["tokens_per_minute"]) == (60, 9000)
    assert set(other) == {"name", "hash"}
    caller = KeyRing(keys).find(key)
    assert (caller.name, caller.policies) == ("team-a", ("default", "paper"))


def test_a_name_that_cannot_be_one_is_an_exit_code_2(capsys):
    assert main(["keys", "new", "a b"]) == 2
    assert "name: String should match" in capsys.readouterr().err

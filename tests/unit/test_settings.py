"""Settings: which source wins, and what a wrong one is told."""

import pytest

from ucbd.app.settings import SettingsInvalid, read_settings


def write(tmp_path, text):
    path = tmp_path / "ucbd.toml"
    path.write_text(text)
    return path


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path):
    file = write(tmp_path, 'port = 1\nhost = "h1"\nmodel = "m1"\n')
    environment = {"UCBD_PORT": "2", "UCBD_HOST": "h2", "PATH": "/bin"}
    settings = read_settings(file, {"port": 3}, environment)
    assert (settings.port, settings.host, settings.model) == (3, "h2", "m1")


def test_without_sources_the_gateway_listens_on_loopback_with_the_embedded_model():
    settings = read_settings(environment={})
    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", 8000, "reference-dpo")


def test_several_actions_in_the_environment_stand_with_commas_between():
    settings = read_settings(environment={"UCBD_WIRED_ACTIONS": "human, retrieve"})
    assert settings.wired_actions == ("human", "retrieve")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("prot = 1", r"ucbd.toml: prot: Extra inputs are not permitted, got 1"),
        ("port = 'x'", r"ucbd.toml: port: .*valid integer.*, got 'x'"),
        ("port = 70000", r"ucbd.toml: port: .*less than or equal to 65535, got 70000"),
        ("max_tokens = 10", r"default_max_tokens \(256\) is above max_tokens \(10\)"),
        ("port = ", r"ucbd.toml: not TOML"),
    ],
)
def test_a_wrong_file_is_told_what_and_where(tmp_path, text, complaint):
    with pytest.raises(SettingsInvalid, match=complaint):
        read_settings(write(tmp_path, text), environment={})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsInvalid, match=r"gone\.toml: No such file"):
        read_settings(tmp_path / "gone.toml", environment={})


def test_an_unknown_variable_of_ours_is_an_error_not_a_default():
    with pytest.raises(SettingsInvalid, match="the environment: UCBD_PROT: Extra inputs"):
        read_settings(environment={"UCBD_PROT": "1"})


def test_settings_cannot_be_changed_once_read():
    with pytest.raises(ValueError, match="frozen"):
        read_settings(environment={}).port = 1

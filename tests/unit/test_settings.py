"""Settings: which source wins, and what a wrong one is told."""

import pytest

from ucbd.app.settings import SettingsInvalid, check_tracing, read_settings


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
        ("prot = 1", r"ucbd.toml: prot: there is no such setting; did you mean port\?"),
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
    with pytest.raises(SettingsInvalid, match=r"the environment: UCBD_PROT: .*mean UCBD_PORT\?"):
        read_settings(environment={"UCBD_PROT": "1"})


def test_several_upstreams_in_the_environment_stand_with_commas_between():
    settings = read_settings(environment={"UCBD_UPSTREAM": "http://a:8000, https://b/v1"})
    assert settings.upstream == ("http://a:8000", "https://b/v1")


def test_a_key_is_read_from_the_environment_alone_and_never_shown(tmp_path):
    settings = read_settings(environment={"UCBD_UPSTREAM_API_KEY": "secret"})
    assert settings.upstream_api_key.get_secret_value() == "secret"
    assert "secret" not in repr(settings)
    file = write(tmp_path, 'upstream_api_key = "hush"\n')
    with pytest.raises(SettingsInvalid, match="from the environment only") as refused:
        read_settings(file, environment={})
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    "environment",
    [
        {"UCBD_UPSTREAM_API_KEY": "hush", "UCBD_WORKERS": "2"},  # wrong together
        {"UCBD_UPSTREM_API_KEY": "hush"},  # a typing mistake in its name
        {"UCBD_UPSTREAM_API_KEY": "hush\n"},  # as a file may end
        {"UCBD_LARGER_API_KEY": "hushé"},
        {"UCBD_RECORDS": "postgresql://u:hush@h/n", "UCBD_WORKERS": "2"},
    ],
)
def test_a_complaint_about_other_settings_shows_no_secret(environment):
    with pytest.raises(SettingsInvalid) as refused:
        read_settings(environment=environment)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("url", ["ftp://a", "a:8000", "http://user:hush@a", "http://a?key=1"])
def test_an_upstream_that_is_no_address_is_refused_and_its_password_not_shown(url):
    with pytest.raises(SettingsInvalid, match="upstream: String should match") as refused:
        read_settings(flags={"upstream": [url]}, environment={})
    assert "hush" not in str(refused.value)


COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environment", "tracing"),
    [
        ({}, "none"),
        (COLLECTOR, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        (COLLECTOR | {"OTEL_TRACES_EXPORTER": "none"}, "none"),
        (COLLECTOR | {"UCBD_TRACING": "none"}, "none"),
        ({"UCBD_TRACING": "otlp", "OTEL_SDK_DISABLED": "true"}, "none"),
        ({"UCBD_TRACING": "otlp", "OTEL_TRACES_EXPORTER": "none"}, "otlp"),
        (COLLECTOR | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "otlp"),
    ],
)
def test_tracing_is_off_unless_we_or_opentelemetrys_own_variables_ask_for_it(environment, tracing):
    assert read_settings(environment=environment).tracing == tracing


def test_a_file_says_more_than_a_collectors_address(tmp_path):
    file = write(tmp_path, 'tracing = "none"\n')
    assert read_settings(file, environment=COLLECTOR).tracing == "none"


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "jaeger"},
            "OTEL_TRACES_EXPORTER: one of none, otlp, console, got 'jaeger'",
        ),
        (
            COLLECTOR | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL: spans are sent by http/protobuf only, got 'grpc'",
        ),
    ],
)
def test_what_opentelemetry_could_do_and_we_do_not_is_refused_to_who_serves(environment, complaint):
    settings = read_settings(environment=environment)  # other commands send no spans
    with pytest.raises(SettingsInvalid, match=complaint):
        check_tracing(settings, environment)


def test_settings_cannot_be_changed_once_read():
    with pytest.raises(ValueError, match="frozen"):
        read_settings(environment={}).port = 1

"""The command line: every command it names exists, and says what it takes."""

from argparse import ArgumentParser, ArgumentTypeError, _SubParsersAction
from collections.abc import Iterator
from importlib import import_module

import pytest

from ucbd.app.arguments import open_share, share, stop_error, temperature, temperatures, whole
from ucbd.app.cli import main, parser


def commands(found: ArgumentParser) -> Iterator[ArgumentParser]:
    inner = [a for a in found._actions if isinstance(a, _SubParsersAction)]
    for action in inner:
        for command in action.choices.values():
            yield from commands(command)
    if not inner:
        yield found


COMMANDS = tuple(commands(parser()))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.prog)
def test_what_a_command_runs_exists(command):
    module, function = command.get_default("run").split(":")
    assert callable(getattr(import_module(f"ucbd.app.commands.{module}"), function))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.prog)
def test_a_command_asked_for_help_exits_with_0(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*command.prog.split()[1:], "--help"])
    assert caught.value.code == 0
    assert command.prog in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (whole(2, 64), "2", "65"),
        (whole(1), "7", "0"),
        (temperature, "0.7", "0"),
        (temperatures, "0.3, 0.7", "1"),
        (share, "1", "1.1"),
        (open_share, "0.1", "1"),
        (stop_error, "0.05", "0.5"),
    ],
)
def test_a_number_outside_its_bounds_is_refused(kind, good, bad):
    kind(good)
    with pytest.raises(ArgumentTypeError, match=r"must be|is asked for anyway"):
        kind(bad)

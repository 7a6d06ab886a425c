"""`dvt completion SHELL`: the script that makes the Tab key complete what is typed for `dvt`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from sweeps.commands import dvt, kit
from sweeps.runner import flag_values as values

SHELLS = ("bash", "zsh", "fish")


@kit.command("dvt completion")
@click.argument(
    "shell",
    metavar="|".join(SHELLS),
    type=values.Checked(values.one_of(SHELLS), "SHELL", lambda _: SHELLS),
)
def command(shell: str) -> int:
    """Make the Tab key complete commands, options, presets, and the names of studies and sweeps.

    It takes effect in the next shell, after one line in its start file:

    \b
      bash  ~/.bashrc                   eval "$(dvt completion bash)"
      zsh   ~/.zshrc, after compinit    eval "$(dvt completion zsh)"
      fish  ~/.config/fish/config.fish  dvt completion fish | source
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(dvt.group, {}, "dvt", kit.COMPLETE).source())
    return kit.DONE

"""``gnetway SUBCOMMAND``: reads the command line, and has shells complete it.

``gnetway completion SHELL`` prints a script that completes subcommands, options and their values.
It is made from the parsers themselves, so that it knows what they know.
"""

import argparse
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from gnetway._version import __version__, core_build
from gnetway.cli import (
    check,
    config,
    connections,
    ring,
    run,
    running,
)
from gnetway.cli.terminal import printable, say
from gnetway.errors import GatewayError

#: In the order of the help.
_SUBCOMMANDS: Final = (run, check, running, connections, config, ring)

#: What shells say of a program that Ctrl-C has ended.
_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit status: 0 for success, 1 for a fault, 2 for misuse."""
    options = make_parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # An old terminal gets what it cannot show in escapes, and no fault.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        result: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has enough, such as head. Python would complain at its end once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (GatewayError, OSError) as error:
        lines = "\n".join(map(printable, str(error).split("\n")))
        sys.stderr.write(f"gnetway: {lines}\n")
        return 1
    return result


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    parser = argparse.ArgumentParser(prog="gnetway", description="Tools around the gateway.")
    parser.add_argument("--version", action="version", version=_version())
    subcommands = parser.add_subparsers(metavar="SUBCOMMAND", required=True)
    for module in _SUBCOMMANDS:
        module.add_to(subcommands)
    _add_completion(subcommands, parser)
    return parser


def _version() -> str:
    return f"gnetway {__version__} (core: {core_build()})"


#: Metavars behind which a file is meant.
_FILES: Final = frozenset({"FILE", "PEM", "file"})


class Option(NamedTuple):
    """An option by its names; ``values`` are what may follow it, where they are known."""

    names: tuple[str, ...]
    help: str
    takes_value: bool
    values: tuple[str, ...]
    is_file: bool


class Command(NamedTuple):
    """A subcommand: its options, and the values of what stands without a name."""

    name: str
    help: str
    options: tuple[Option, ...]
    words: tuple[str, ...]
    takes_file: bool


def _add_completion(
    subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    whole: argparse.ArgumentParser,
) -> None:
    """Declare the subcommand; ``whole`` is the parser of all of them."""
    parser = subcommands.add_parser(
        "completion",
        help="print a script by which a shell completes this command",
        description='Print a script by which a shell completes this command. bash: eval "$(gnetway'
        ' completion bash)" in ~/.bashrc; zsh: the same with zsh in ~/.zshrc, behind compinit;'
        " fish: gnetway completion fish > ~/.config/fish/completions/gnetway.fish",
    )
    parser.add_argument("shell", choices=_SCRIPTS, metavar="SHELL", help=", ".join(_SCRIPTS))
    parser.set_defaults(run=partial(print_script, whole))


def print_script(whole: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Print the script."""
    say(_SCRIPTS[options.shell](commands(whole)))
    return 0


def commands(whole: argparse.ArgumentParser) -> list[Command]:
    """Return the subcommands of a parser, and itself as the one without a name."""
    found = [_command("", "", whole)]
    for action in whole._actions:  # noqa: SLF001 - argparse tells it nowhere else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {one.dest: one.help or "" for one in action._choices_actions}  # noqa: SLF001
            found += [
                _command(name, helps.get(name, ""), parser)
                for name, parser in action.choices.items()
            ]
    return found


def _command(name: str, told: str, parser: argparse.ArgumentParser) -> Command:
    options: list[Option] = []
    words: list[str] = []
    takes_file = False
    for action in parser._actions:  # noqa: SLF001
        choices = tuple(map(str, action.choices or ()))
        is_file = action.metavar in _FILES or (not action.option_strings and action.dest in _FILES)
        if action.option_strings:
            text = (action.help or "") % {"default": action.default}
            takes_value = action.nargs != 0
            names = tuple(action.option_strings)
            options.append(Option(names, text, takes_value, choices, takes_value and is_file))
        else:
            words += choices
            takes_file = takes_file or is_file
    return Command(name, told, tuple(options), tuple(words), takes_file)


def _quoted(text: str) -> str:
    """Return a text as one word of a shell, on one line."""
    return "'" + " ".join(text.split()).replace("'", "'\\''") + "'"


def _lines_of(texts: Iterable[str]) -> str:
    return "$'" + "\\n".join(texts).replace("'", "\\'") + "'"


# bash

_BASH: Final = r"""# gnetway completion bash
_gnetway() {
    local word=${COMP_WORDS[COMP_CWORD]} before= command= index values= files= IFS=$'\n'
    ((COMP_CWORD)) && before=${COMP_WORDS[COMP_CWORD - 1]}
    for ((index = 1; index < COMP_CWORD; index++)); do
        case ${COMP_WORDS[index]} in -*) ;; *) command=${COMP_WORDS[index]}; break ;; esac
    done
    COMPREPLY=()
    # What comes behind an option, and what else may stand there.
    case "$command $before" in
@BEHIND@
    *)
        case $command in
@WORDS@
        esac
    esac
    local reply
    for reply in $(compgen -W "$values" -- "$word"); do
        COMPREPLY+=("$(printf '%q' "$reply")")
    done
    if [[ -n $files ]]; then
        compopt -o filenames 2>/dev/null
        while read -r reply; do COMPREPLY+=("$reply"); done < <(compgen -f -- "$word")
    fi
}
complete -F _gnetway gnetway"""


def bash(found: list[Command]) -> str:
    """Return the script for bash."""
    behind, words = [], []
    for command in found:
        for option in command.options:
            if not option.takes_value:
                continue
            pattern = "|".join(_quoted(f"{command.name} {name}") for name in option.names)
            files = " files=1" if option.is_file else ""
            # compgen splits them at IFS, which is a newline here: some have spaces.
            values = _lines_of(option.values)
            behind.append(f"    {pattern}) values={values}{files} ;;")
        names = [name for option in command.options for name in option.names]
        values = _lines_of([*command.words, *names])
        files = " files=1" if command.takes_file else ""
        words.append(f"        {_quoted(command.name)}) values={values}{files} ;;")
    return _BASH.replace("@BEHIND@", "\n".join(behind)).replace("@WORDS@", "\n".join(words))


# zsh

_ZSH: Final = r"""#compdef gnetway
# gnetway completion zsh
_gnetway() {
    local context state state_descr line
    typeset -A opt_args
    _arguments -C \
@GLOBAL@
        '1:subcommand:->subcommand' '*::argument:->argument'
    case $state in
    subcommand)
        local -a subcommands=(
@SUBCOMMANDS@
        )
        _describe subcommand subcommands
        ;;
    argument)
        case $line[1] in
@CASES@
        esac
    esac
}
# As a file of $fpath it is called by its name, and in a startup file it is declared.
if [[ $funcstack[1] == _gnetway ]]; then _gnetway "$@"; else compdef _gnetway gnetway; fi"""

#: What has a meaning in an option's specification.
_ZSH_SPECIAL: Final = re.compile(r"([][:\\()])")


def zsh(found: list[Command]) -> str:
    """Return the script for zsh."""
    whole, *others = found
    subcommands = ["            " + _quoted(f"{_zsh_text(one.name)}:{one.help}") for one in others]
    cases = []
    for command in others:
        specs = _zsh_options(command)
        if command.takes_file:
            specs.append("'*:file:_files'")
        elif command.words:
            specs.append(_quoted(f"1:word:({' '.join(command.words)})"))
        body = " \\\n                ".join(specs)
        head = f"        {command.name})\n            _arguments"
        cases.append(f"{head} \\\n                {body} ;;")
    return (
        _ZSH.replace("@GLOBAL@", "\n".join(f"        {spec} \\" for spec in _zsh_options(whole)))
        .replace("@SUBCOMMANDS@", "\n".join(subcommands))
        .replace("@CASES@", "\n".join(cases))
    )


def _zsh_options(command: Command) -> list[str]:
    specs = []
    for option in command.options:
        for name in option.names:
            others = f"({' '.join(option.names)})" if len(option.names) > 1 else ""
            spec = f"{others}{name}[{_zsh_text(option.help)}]"
            if option.takes_value:
                values = " ".join(value.replace(" ", "\\ ") for value in option.values)
                spec += ":file:_files" if option.is_file else f":value:{values and f'({values})'}"
            specs.append(_quoted(spec))
    return specs


def _zsh_text(text: str) -> str:
    return _ZSH_SPECIAL.sub(r"\\\1", " ".join(text.split()))


# fish


def fish(found: list[Command]) -> str:
    """Return the script for fish."""
    whole, *others = found
    lines = ["# gnetway completion fish", "complete -c gnetway -f"]
    lines += _fish_options(whole, "__fish_use_subcommand")
    for command in others:
        lines.append(
            f"complete -c gnetway -n __fish_use_subcommand -a {command.name}"
            f" -d {_fish_text(command.help)}"
        )
        condition = f"__fish_seen_subcommand_from {command.name}"
        lines += _fish_options(command, condition)
        for word in command.words:
            lines.append(f"complete -c gnetway -n {_fish_text(condition)} -a {_fish_text(word)}")
        if command.takes_file:
            lines.append(f"complete -c gnetway -n {_fish_text(condition)} -F")
    return "\n".join(lines)


def _fish_options(command: Command, condition: str) -> list[str]:
    lines = []
    for option in command.options:
        line = f"complete -c gnetway -n {_fish_text(condition)}"
        for name in option.names:
            line += f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}"
        if option.takes_value:
            line += " -r -F" if option.is_file else " -x"
        if option.values:
            # Each on a line of its own: some have spaces.
            values = " ".join(map(_fish_text, option.values))
            line += " -a " + _fish_text(rf"(printf '%s\n' {values})")
        lines.append(f"{line} -d {_fish_text(option.help)}")
    return lines


def _fish_text(text: str) -> str:
    escaped = " ".join(text.split()).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


_SCRIPTS: Final[dict[str, Callable[[list[Command]], str]]] = {
    "bash": bash,
    "zsh": zsh,
    "fish": fish,
}

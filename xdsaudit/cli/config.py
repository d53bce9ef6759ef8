"""Option defaults: ``xdsaudit.toml`` or ``[tool.xdsaudit]`` in ``pyproject.toml``, overridden by ``XDSAUDIT_OPTION`` variables.

A table ``[check]`` (``[tool.xdsaudit.check]``) applies to that command alone. A file comes with a repository, whoever wrote it: options
that name credentials, endpoints or a command to run are taken from the command line and the environment only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import click

from xdsaudit.errors import InputError
from xdsaudit.model.plain import as_mapping

CONFIG: Final = "XDSAUDIT_CONFIG"
_PREFIX: Final = "XDSAUDIT_"
_NEVER_IN_FILES: Final = frozenset(
    [
        "kubeconfig",
        "context",
        "ads",
        "ads-debug",
        "core",
        "gateway",
        "token-file",
        "mint-token",
        "ca",
        "cert",
        "key",
        "apply",
        "envoy",
        "listen",
        "record",
        "report",
    ]
)


def defaults(command: click.Command, name: str, environment: Mapping[str, str], start: Path) -> dict[str, object]:
    """Defaults of a command's options by parameter name.

    Args:
        command: the command.
        name: its name, and that of its table.
        environment: the process's.
        start: the folder where the search for a file begins; it ends at the root of the repository.

    Raises:
        InputError: the file is not TOML, or sets an unknown option.
    """
    options = {_long(p): p for p in command.params if isinstance(p, click.Option)}
    values: dict[str, object] = {}
    file, table = _table(environment, start)
    if file is not None:
        for key, value in _chosen(table, name):
            values |= _of_file(file, key, value, options, command)
    for key, parameter in options.items():
        raw = environment.get(_PREFIX + key.upper().replace("-", "_"))
        if raw and not _of_others(parameter, raw):
            values[parameter.name or key] = raw.split(",") if parameter.multiple else raw
    return values


def _long(parameter: click.Option) -> str:
    return next((o for o in parameter.opts if o.startswith("--")), parameter.opts[0]).lstrip("-")


def _table(environment: Mapping[str, str], start: Path) -> tuple[Path | None, dict[str, object]]:
    """The nearest file with settings for us, and those settings."""
    named = environment.get(CONFIG)
    if named is not None:
        return (Path(named), _read(Path(named))) if named else (None, {})
    for folder in (start, *start.parents):
        for file in (folder / "xdsaudit.toml", folder / "pyproject.toml"):
            if file.is_file() and (file.name == "xdsaudit.toml" or b"[tool.xdsaudit" in file.read_bytes()):
                return file, _read(file)
        if (folder / ".git").exists():
            break
    return None, {}


def _read(file: Path) -> dict[str, object]:
    import tomllib

    try:
        table: dict[str, object] = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}; correct {CONFIG}") from error
    except ValueError as error:
        raise InputError(f"{file}: is not TOML ({error}); correct it") from error
    if file.name == "pyproject.toml":
        try:
            return dict(as_mapping(as_mapping(table.get("tool")).get("xdsaudit")))
        except ValueError as error:
            raise InputError(f"{file}: tool.xdsaudit is not a table; correct it") from error
    return table


def _chosen(table: Mapping[str, object], name: str) -> Iterator[tuple[str, object]]:
    """Settings for all commands, then for this one."""
    yield from ((key, value) for key, value in table.items() if not isinstance(value, dict))
    own = table.get(name, {})
    yield from (((f"{name}.{key}"), value) for key, value in own.items()) if isinstance(own, dict) else ()


def _of_file(
    file: Path, key: str, value: object, options: Mapping[str, click.Option], command: click.Command
) -> dict[str, object]:
    option = key.rpartition(".")[2].replace("_", "-")
    if option in _NEVER_IN_FILES:
        raise InputError(
            f"{file}: {key} is not accepted from a file, which anybody may have written; use --{option} or {_PREFIX}{option.upper().replace('-', '_')}"
        )
    parameter = options.get(option)
    if parameter is None:
        if "." not in key and option in _known():
            return {}  # another command's
        near = get_close_matches(option, _known(), n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; xdsaudit {command.name} --help lists the options"
        raise InputError(f"{file}: {key} is not an option{hint}")
    if "." not in key and _of_others(parameter, value):
        return {}
    if parameter.multiple:
        value = [str(v) for v in (value if isinstance(value, list) else [value])]
    elif isinstance(value, list):
        value = ",".join(map(str, value))
    return {parameter.name or option: value}


def _of_others(parameter: click.Option, value: object) -> bool:
    """Whether a value set for all commands is one that only other commands accept (an output format)."""
    if not isinstance(parameter.type, click.Choice) or value in parameter.type.choices:
        return False
    from xdsaudit.cli.group import choices_of

    return value in choices_of(_long(parameter))


def _known() -> tuple[str, ...]:
    """Every option of every command."""
    from xdsaudit.cli.group import every_option

    return every_option()

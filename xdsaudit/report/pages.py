"""Self-contained pages: templates and their shared style, from this package."""

from __future__ import annotations

from importlib import resources


def page(name: str, **values: object) -> str:
    """Fill in a template; every value is escaped unless marked as markup."""
    import jinja2

    folder = resources.files("xdsaudit.report")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(lambda wanted: folder.joinpath(wanted).read_text(encoding="utf-8")),
    )
    return environment.get_template(name).render(**values)

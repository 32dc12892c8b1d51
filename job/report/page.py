"""`report.html`: one page that needs no network, from the facts of a finished run.

The page holds everything: the script of Bokeh, the charts, the style. A content security policy
in it forbids every request and every script but the two that are named by their hash, so a text
of the data cannot become a part of the program.
"""

import base64
import hashlib
import json
from importlib import resources
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from job.report import words
from job.report.facts import ReportFacts
from job.report.palette import DARK, LIGHT

TEMPLATES = "templates"


def write_report(facts: ReportFacts) -> bytes:
    """The report of a run; the same facts give the same bytes."""
    # Bokeh and scikit-learn take a second to import, which only a finished run pays.
    from bokeh.resources import Resources

    from job.report.figures import documents

    library = "\n".join(Resources("inline", components=["bokeh"], log_level="error").js_raw)
    script = _own("report.js")
    drawn = documents(facts)
    data = {
        "charts": drawn,
        "curve": facts.summary["curve"],
        "threshold": facts.summary["threshold"],
        "palette": {"light": LIGHT, "dark": DARK},
    }
    page = environment().get_template("report.html.j2")
    html = page.render(
        facts=facts,
        summary=facts.summary,
        words=words,
        verdict=words.verdict(facts),
        decision=words.decision(facts),
        charts=drawn,
        style=Markup(_own("report.css")),
        light=LIGHT,
        dark=DARK,
        library=Markup(library),
        script=Markup(script),
        allowed=" ".join(_hash_of(one) for one in (library, script)),
        data=Markup(_inert_json(data)),
        config=config_yaml(facts),
    )
    return html.encode(errors="replace")  # a path may hold bytes that are no text


def environment() -> Environment:
    """Templates that escape every value and know no missing one."""
    made = Environment(
        loader=PackageLoader("job.report", TEMPLATES),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["png"] = lambda data: base64.b64encode(data).decode()
    made.filters["number"] = _number
    made.filters["percent"] = _percent
    made.filters["duration"] = words.duration
    return made


def config_yaml(facts: ReportFacts) -> str:
    """The resolved configuration as a file that `train` takes."""
    return yaml.safe_dump(dict(facts.config), sort_keys=False, allow_unicode=True, width=96)


def _own(name: str) -> str:
    return (resources.files("job.report") / TEMPLATES / name).read_text(encoding="utf-8")


def _hash_of(script: str) -> str:
    """The source expression of an inline script in a content security policy.

    Source: Content Security Policy Level 3, section 8.3. A parser reads CR LF as LF.
    """
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _inert_json(value: Any) -> str:
    """JSON that can stand in a script element: nothing in it looks like a tag."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _number(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{100 * value:.{digits}f} %"

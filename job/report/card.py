"""`MODEL_CARD.md`: what the model is for and how good it is, from the facts of the report.

Source: Mitchell et al. 2019, Model Cards for Model Reporting, section 4.
"""

import re

from job.report import words
from job.report.facts import ReportFacts
from job.report.page import environment


def write_card(facts: ReportFacts) -> bytes:
    """The model card of a run as Markdown; the same facts give the same bytes."""
    template = environment().get_template("MODEL_CARD.md.j2")
    text = template.render(
        facts=facts,
        summary=facts.summary,
        words=words,
        verdict=words.verdict(facts),
        decision=words.decision(facts),
        encoder=facts.config["model"]["encoder"]["kind"],  # type: ignore[index,call-overload]
        head=facts.config["model"]["head"]["kind"],  # type: ignore[index,call-overload]
        loss=facts.config["training"]["loss"]["kind"],  # type: ignore[index,call-overload]
        plain=_plain,
    )
    return re.sub(r"\n{3,}", "\n\n", text).encode(errors="replace")


def _plain(text: object) -> str:
    """A name that a person chose, without effect in Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", " ".join(str(text).split()))

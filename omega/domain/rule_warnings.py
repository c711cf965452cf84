"""What is suspicious about a rule: it can match nothing that there can be."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final

from omega.domain.access import LIST
from omega.domain.errors import BadInput
from omega.domain.names import JOB, check_name, job_name
from omega.domain.rules import ACTIONS, Rule

_META: Final = frozenset(r".^$*+?{}[]\|()")
_ESCAPED: Final = re.compile(r"\\([^A-Za-z0-9])")


def warnings(rule: Rule) -> list[str]:
    """Why a rule can match nothing, one sentence each; none for a rule that can, as far as one can tell."""
    resources = _matched(rule.resource, (*ACTIONS, *(f"{known}s" for known in ACTIONS)))
    if not resources:
        return [f"{_nothing(rule)}: there is no resource {rule.resource!r}{_meant(rule.resource, ACTIONS)}"]
    actions = {action for known in resources for action in ACTIONS[known.removesuffix("s")]}
    if not rule.pairs:
        shown = " or ".join(sorted({known.removesuffix("s") for known in resources}))
        return [f"{_nothing(rule)}: {shown} has no action {rule.action!r}{_meant(rule.action, actions)}"]
    return [f"{_nothing(rule)}: {why}" for why in _about_name(rule)]


def _about_name(rule: Rule) -> Iterator[str]:
    literal = _literal(rule.name)
    if literal is None:
        return
    acts = {action for _, action in rule.pairs}
    if not literal:
        if LIST not in acts and {known for known, _ in rule.pairs} != {"config"}:
            yield "its name is empty, which only lists have"
    elif acts == {LIST}:
        yield f"a list has no name, so it is not {literal!r}"
    else:
        refusals = [_refusal(literal, known) for known in sorted({known for known, _ in rule.pairs})]
        if all(refusals):
            yield str(refusals[0])


def _refusal(name: str, resource: str) -> str | None:
    """Why no object of this resource can be called so."""
    try:
        if resource == JOB:
            job_name(name)
        elif resource == "config":
            return "config has no name"
        else:
            check_name(name, resource=resource)
    except BadInput as error:
        return str(error)
    return None


def _matched(pattern: str, words: Iterable[str]) -> list[str]:
    rule = Rule.parse(f"{pattern}/.*/.*")
    return [word for word in words if any(known == word.removesuffix("s") for known, _ in rule.pairs)]


def _literal(pattern: str) -> str | None:
    """The one text that an expression matches, where it is plain to see."""
    plain = _ESCAPED.sub("", pattern)
    return None if _META & set(plain) else _ESCAPED.sub(r"\1", pattern)


def _nothing(rule: Rule) -> str:
    return f"rule {rule.text!r} can match nothing"


def _meant(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word.removesuffix("s"), sorted(known), n=1)
    return f", did you mean {close[0]!r}?" if close else f"; there are {', '.join(sorted(known))}"

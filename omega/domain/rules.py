r"""Access rules: `resource/name/action`, each part a regular expression that must match in full.

    model                 all models            model/foo            all actions on model foo
    model/foo/predict     asking model foo      .*/.*/.*             everything

A rule is split at its first and its last slash. The expressions are RE2's
(https://github.com/google/re2/wiki/Syntax): matching takes time linear in the length of the name, whatever
the rule. `models` is another word for `model`, and so on. A list has the empty name.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import re2
from attrs import field, frozen

from omega.domain.access import Right
from omega.domain.errors import BadInput
from omega.domain.names import ACTION_WORDS

MAX_RULE_CHARS: Final = 1000
MAX_RULES: Final = 1000
#: What one expression may take, compiled; a larger one is refused.
_MAX_MEMORY_BYTES: Final = 1 << 20
_ANY: Final = ".*"
#: All that a rule can speak of.
ACTIONS: Final[Mapping[str, frozenset[str]]] = {**ACTION_WORDS, "config": frozenset({"get"})}


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MAX_MEMORY_BYTES
    return options


_OPTIONS: Final = _options()


@frozen
class Rule:
    """One rule: its text, and its three parts."""

    text: str
    resource: str
    name: str
    action: str
    #: Pairs of resource and action that it speaks of.
    pairs: frozenset[tuple[str, str]] = field(repr=False)
    _matches: Callable[[str], object] = field(alias="matches", repr=False, eq=False)

    @classmethod
    def parse(cls, text: str) -> "Rule":
        """Read a rule.

        Raises: BadInput, naming the rule and the part at fault.
        """
        text = text.strip()
        if len(text) > MAX_RULE_CHARS:
            raise BadInput(f"rule {text[:60]!r}... has {len(text)} characters, the limit is {MAX_RULE_CHARS}")
        resource, name, action = _split(text)
        of_resource = _compiled(text, "resource", resource)
        of_action = _compiled(text, "action", action)
        pairs = frozenset(
            (known, word)
            for known, words in ACTIONS.items()
            if of_resource(known) or of_resource(f"{known}s")
            for word in words
            if of_action(word)
        )
        return cls(text, resource, name, action, pairs, _compiled(text, "name", name))

    def allows(self, right: Right) -> bool:
        """Whether the rule allows this."""
        return (right.resource, right.action) in self.pairs and any(map(self._matches, right.spellings))


@frozen
class Rules:
    """Several rules: what any of them allows is allowed. An `Access`, the same in all buckets."""

    rules: tuple[Rule, ...]
    _by_pair: Mapping[tuple[str, str], tuple[Rule, ...]] = field(init=False, repr=False, eq=False)

    @_by_pair.default
    def _index(self) -> Mapping[tuple[str, str], tuple[Rule, ...]]:
        pairs = {pair for rule in self.rules for pair in rule.pairs}
        return {pair: tuple(rule for rule in self.rules if pair in rule.pairs) for pair in pairs}

    @classmethod
    def parse(cls, texts: Iterable[str], *, source: str) -> "Rules":
        """Read the rules that `source` holds, blank ones aside.

        Raises: BadInput for a rule that cannot be read, and where there is none: a source without rules must
        not open everything.
        """
        rules = tuple(Rule.parse(text) for text in texts if text.strip())
        if not rules:
            raise BadInput(
                f"{source} holds no rule: give at least one, or leave it out (.*/.*/.* allows everything)"
            )
        if len(rules) > MAX_RULES:
            raise BadInput(f"{source} holds {len(rules)} rules, the limit is {MAX_RULES}")
        return cls(rules)

    @property
    def is_everything(self) -> bool:
        """Whether they say in so many words that nothing is refused."""
        return any(rule.name == _ANY and len(rule.pairs) == _ALL_PAIRS for rule in self.rules)

    def allows(self, right: Right, *, bucket: str) -> bool:
        """Whether any rule allows this."""
        return self.deciding(right) is not None

    def deciding(self, right: Right) -> Rule | None:
        """The first rule that allows this."""
        rules = self._by_pair.get((right.resource, right.action), ())
        return next((rule for rule in rules if rule.allows(right)), None)


_ALL_PAIRS: Final = sum(map(len, ACTIONS.values()))


def rules_in(text: str) -> list[str]:
    """The rules in the text of a file: one a line, without blanks around them, blank lines and comments
    (`#` at the start of a line, or after a blank).
    """
    lines = text.removeprefix("\ufeff").splitlines()
    without = (line if "#" not in line else _uncommented(line) for line in lines)
    return [line.strip() for line in without if line.strip()]


def _uncommented(line: str) -> str:
    at = next((i for i, c in enumerate(line) if c == "#" and (i == 0 or line[i - 1].isspace())), len(line))
    return line[:at]


def _split(text: str) -> tuple[str, str, str]:
    first, last = text.find("/"), text.rfind("/")
    if first < 0:
        parts = (text, _ANY, _ANY)
    elif first == last:
        parts = (text[:first], text[first + 1 :], _ANY)
        if not parts[1]:
            raise BadInput(f"rule {text!r} ends in a slash: write {text[:-1]!r} for all names and actions")
    else:
        parts = (text[:first], text[first + 1 : last], text[last + 1 :])
    for part, what in ((parts[0], "resource"), (parts[2], "action")):
        if not part:
            raise BadInput(f"rule {text!r} has no {what}: a rule is resource/name/action")
    return parts


def _compiled(text: str, what: str, part: str) -> Callable[[str], object]:
    """The match in full of one part of a rule.

    Raises: BadInput.
    """
    if not part.isprintable():
        raise BadInput(f"the {what} in rule {text!r} holds a character that cannot be printed")
    try:
        matches: Callable[[str], object] = re2.compile(part, _OPTIONS).fullmatch
    except re2.error as error:
        (why,) = error.args
        said = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise BadInput(
            f"the {what} in rule {text!r} is not a regular expression (RE2): {said}; "
            "a rule is split at its first and its last slash"
        ) from error
    return matches

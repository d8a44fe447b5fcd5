"""The ``[model] names`` key: automatic, plain, or a table by segment id or by a rule on the centroid."""

from __future__ import annotations

import re

from stream_seg.features.rules import NameRule, SegmentNames
from stream_seg.settings.base import ValueProblemsError

__all__ = ["NAMES_FORM", "parse_names"]

NAMES_FORM = (
    '"auto", "plain" or a table such as { 0 = "first", lapsed = "days_since_order > 180 and orders < 2" }'
)
_RULE_SIGN = re.compile(r"[<>=!]")
_MAX_NAME = 100


def parse_names(value: object) -> SegmentNames:
    """Turn the key's value into frozen names; ``ValueProblemsError`` for everything in it that is wrong.

    In a table, an entry whose key is digits names the segment of that id; in any other one side is the name
    and the other the rule, whichever way round.
    """
    if isinstance(value, SegmentNames):
        return value
    if value in ("auto", "plain"):
        return SegmentNames("plain" if value == "plain" else "auto")
    if not isinstance(value, dict) or not value:
        raise ValueProblemsError([("", f"must be {NAMES_FORM}")])
    by_id: list[tuple[int, str]] = []
    rules: list[NameRule] = []
    wrong: list[tuple[str, str]] = []
    for key, entry in value.items():
        try:
            _read_entry(str(key), entry, by_id, rules)
        except ValueError as error:
            wrong.append((str(key), str(error)))
    names = [name for _, name in by_id] + [rule.name for rule in rules]
    wrong += [("", f'gives "{name}" to several') for name in sorted({n for n in names if names.count(n) > 1})]
    if wrong:
        raise ValueProblemsError(wrong)
    return SegmentNames("table", tuple(sorted(by_id)), tuple(rules))


def _read_entry(key: str, entry: object, by_id: list[tuple[int, str]], rules: list[NameRule]) -> None:
    if not isinstance(entry, str):
        raise ValueError("must be text: a name for an id, or a rule for a name")  # noqa: TRY004 - one kind of problem
    if re.fullmatch(r"\d+", key, re.ASCII):
        by_id.append((int(key), _checked(entry)))
    elif _RULE_SIGN.search(key):
        rules.append(NameRule.parsed(_checked(entry), key))
    else:
        rules.append(NameRule.parsed(_checked(key), entry))


def _checked(name: str) -> str:
    if not name.strip() or len(name) > _MAX_NAME or not name.isprintable():
        raise ValueError(f"must give a name of 1 to {_MAX_NAME} printable characters")
    if _RULE_SIGN.search(name):
        raise ValueError("must give a name without <, >, = and !")
    return name

"""What is tried at start is what the scripts do later."""

from __future__ import annotations

import re
from importlib import resources

from stream_seg.adapters.redis.scripts import ScriptName

SCRIPTS = {
    file.name.removesuffix(".lua"): file.read_text(encoding="utf-8")
    for file in (resources.files("stream_seg.adapters.redis") / "scripts").iterdir()
}


def commands(text: str) -> set[str]:
    return set(re.findall(r"redis\.p?call\('(\w+)'", text))


def test_every_command_of_the_scripts_is_tried_at_start() -> None:
    used = {command for text in SCRIPTS.values() for command in commands(text)}
    assert used == commands(SCRIPTS["rights"])


def test_every_script_says_in_its_first_line_what_it_may_do() -> None:
    assert set(SCRIPTS) == {*ScriptName.__args__, "common"}  # type: ignore[attr-defined]
    for name, text in SCRIPTS.items():
        assert text.startswith("#!lua") == (name != "common"), name

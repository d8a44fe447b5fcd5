"""Laws of the configuration: where a setting is written makes no difference to what it means."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stream_seg.features.spec import NEEDS_FIELD, TAKES_DEFAULT, TAKES_HALF_LIFE, TRANSFORMS
from stream_seg.settings import Settings, load_settings

Tree = dict[str, Any]

names = st.from_regex(r"[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,4})?", fullmatch=True)
plain_text = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="'\""), min_size=1
)
positive = st.floats(1e-6, 1e6)
scalars = st.one_of(plain_text, st.integers(-(2**53), 2**53), st.booleans(), st.floats(-1e9, 1e9))


@st.composite
def features(draw: st.DrawFn, fields: list[str]) -> Tree:
    aggregates = ["days_since", "count", "sum", "mean", "last", "share", "distinct", "gap_days"]
    aggregate = draw(st.sampled_from([a for a in aggregates if fields or a not in NEEDS_FIELD]))
    fades, defaults, filtered = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    feature: Tree = {"aggregate": aggregate}
    if aggregate in NEEDS_FIELD:
        feature["field"] = draw(st.sampled_from(fields))
    if aggregate in TAKES_HALF_LIFE and fades:
        feature["half_life_days"] = draw(positive)
    if aggregate in TAKES_DEFAULT and defaults:
        feature["default"] = draw(st.floats(-1e6, 1e6))
    if fields and filtered:
        values = draw(st.one_of(scalars, st.lists(scalars, min_size=1, max_size=3)))
        feature["where"] = {draw(st.sampled_from(fields)): values}
    optional = {"transform": st.sampled_from(TRANSFORMS), "weight": positive, "step": st.just(2.0**-8)}
    return feature | draw(st.fixed_dictionaries({}, optional=optional))


@st.composite
def configurations(draw: st.DrawFn) -> Tree:
    """A configuration with its features in the order of their names, which is the environment's."""
    fields = draw(
        st.dictionaries(names.filter(lambda n: n != "type"), st.sampled_from(["a", "b.c", "0"]), max_size=3)
    )
    kinds = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    model: dict[str, st.SearchStrategy[Any]] = {
        "segments": st.integers(2, 20),
        "seed": st.integers(0, 99),
        "hysteresis": st.floats(0, 0.99),
        "names": st.sampled_from(["auto", "plain"]),
    }
    kafka: dict[str, st.SearchStrategy[Any]] = {
        "bootstrap_servers": st.just("k:1,l:2"),
        "options": st.dictionaries(
            st.sampled_from(["ssl_password", "client_id", "retries"]), plain_text, max_size=2
        ),
    }
    return {
        "model": {"name": draw(st.sampled_from(["retail", "123", "true"]))}
        | draw(st.fixed_dictionaries({}, optional=model)),
        "source": draw(
            st.fixed_dictionaries({}, optional={"topic": st.just("12"), "max_ahead": st.just("90m")})
        ),
        "event": {"customer": "c", "time": "t.u", "fields": fields},
        "features": {name: draw(features(sorted(fields))) for name in sorted(kinds)},
        "kafka": draw(st.fixed_dictionaries({}, optional=kafka)),
    }


def written(value: object) -> str:
    """Write a value as TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {written(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def from_file(tree: Tree) -> Settings:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stream-seg.toml")
        path.write_text(
            "".join(f"{key} = {written(value)}\n" for key, value in tree.items()), encoding="utf-8"
        )
        return load_settings(path, environ={})


def variables(tree: Tree, prefix: str = "STREAM_SEG") -> dict[str, str]:
    """Write every leaf as a variable of its own; an empty table is one too."""
    out: dict[str, str] = {}
    for key, value in tree.items():
        name = f"{prefix}__{key.upper()}"
        out |= variables(value, name) if isinstance(value, dict) and value else {name: written(value)}
    return out


@given(configurations())
def test_the_same_settings_from_a_file_and_from_the_environment(tree: Tree) -> None:
    file = from_file(tree)
    environment = load_settings(None, environ=variables(tree))
    assert environment == file
    assert environment.model_hash == file.model_hash


@given(configurations())
def test_the_same_settings_from_a_file_and_from_whole_tables_in_the_environment(tree: Tree) -> None:
    environ = {f"STREAM_SEG__{key.upper()}": written(value) for key, value in tree.items()}
    assert load_settings(None, environ=environ) == from_file(tree)


@given(configurations())
def test_what_the_environment_repeats_changes_nothing(tree: Tree) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stream-seg.toml")
        path.write_text(
            "".join(f"{key} = {written(value)}\n" for key, value in tree.items()), encoding="utf-8"
        )
        assert load_settings(path, environ=variables(tree)) == from_file(tree)


@given(plain_text)
def test_text_needs_no_quotes_in_the_environment(text: str) -> None:
    environ = {"STREAM_SEG__MODEL__NAME": "m", "STREAM_SEG__SOURCE__GROUP": text}
    assert load_settings(None, environ=environ, needs=()).group == text


@given(plain_text)
def test_a_password_of_any_form_reaches_the_client_and_no_repr(text: str) -> None:
    marked = f"Pw{text}"
    environ = {"STREAM_SEG__MODEL__NAME": "m", "STREAM_SEG__KAFKA__OPTIONS__SSL_PASSWORD": marked}
    settings = load_settings(None, environ=environ, needs=())
    assert settings.kafka.client_options() == {"ssl_password": marked}
    assert marked not in repr(settings)

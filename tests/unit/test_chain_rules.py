"""Which chains may start, and how their questions are made (jobs-api.md 8)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain.chain_rules import ChainSpec, ChainStep, chain_spec, check_chain
from rune_common.domain.chain_templates import TemplateError, cut, placeholders, render
from rune_common.domain.errors import InvalidRequest

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def step(name: str, *dependencies: str, question: str = "why?") -> ChainStep:
    return ChainStep(name, question, dependencies=dependencies)


def problems(*steps: ChainStep, **context: str) -> list[tuple[str, str]]:
    try:
        check_chain(ChainSpec(steps, context))
    except InvalidRequest as invalid:
        return [(problem.field, problem.code) for problem in invalid.problems]
    return []


def test_a_diamond_is_a_valid_chain() -> None:
    last = step("d", "b", "c", question="compare {b} with {c} in {cluster}")
    assert problems(step("a"), step("b", "a"), step("c", "a"), last, cluster="prod") == []


def test_a_chain_survives_its_document() -> None:
    spec = ChainSpec((step("a"), replace(step("b", "a"), model="m")), {"k": "v"})
    assert chain_spec(spec.document()) == spec


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ((), ("steps", "too_short")),
        (tuple(step(f"s{n}") for n in range(51)), ("steps", "too_long")),
        ((step("a"), step("a")), ("steps.1.name", "duplicate")),
        ((step("9a"),), ("steps.0.name", "format")),
        ((step("a" * 65),), ("steps.0.name", "format")),
        ((step("a", "a"),), ("steps.0.dependencies", "self_dependency")),
        ((step("a", "b"),), ("steps.0.dependencies", "unknown")),
        ((step("a"), step("b", "a", "a")), ("steps.1.dependencies", "duplicate")),
        ((step("x"), step("a", "b"), step("b", "a")), ("steps.1.dependencies", "cycle")),
        ((step("a", question=""),), ("steps.0.question_template", "too_short")),
        ((step("a", question="x" * 100_001),), ("steps.0.question_template", "too_long")),
        ((step("a", question="{nobody}"),), ("steps.0.question_template", "unknown_placeholder")),
        (
            (step("a"), step("b", "a"), step("c", "b", question="{a}")),
            ("steps.2.question_template", "unknown_placeholder"),
        ),
        ((step("a", question="{a.b}"),), ("steps.0.question_template", "format")),
        ((step("a", question="{0}"),), ("steps.0.question_template", "format")),
        ((step("a", question="open {"),), ("steps.0.question_template", "format")),
    ],
)
def test_what_is_wrong_is_named_by_its_field(steps: tuple[ChainStep, ...], problem: tuple[str, str]) -> None:
    assert problems(*steps) == [problem]


def test_a_context_is_bounded_and_does_not_shadow_a_step() -> None:
    assert problems(step("a"), a="x") == [("context", "duplicate")]
    assert problems(step("a"), **{"no way": "x"}) == [("context", "format")]
    assert problems(step("a"), **{f"k{n}": "" for n in range(51)}) == [("context", "too_long")]
    assert problems(step("a"), k="ä" * 16_384) == [("context", "too_long")]
    assert problems(step("a"), k="ä" * 16_383) == []


@given(TEXTS)
def test_doubled_braces_are_literal(text: str) -> None:
    assert render(text.replace("{", "{{").replace("}", "}}"), {}) == text


@given(TEXTS, TEXTS)
def test_a_value_is_put_in_as_it_is(before: str, value: str) -> None:
    literal = before.replace("{", "{{").replace("}", "}}")
    assert render(f"{literal}{{a}}{literal}", {"a": value}) == f"{before}{value}{before}"


@given(st.text(st.sampled_from("{}ab.!:[]0")))
def test_a_template_is_refused_or_needs_exactly_its_placeholders(template: str) -> None:
    try:
        asked = placeholders(template)
    except TemplateError:
        with pytest.raises(TemplateError):
            render(template, dict.fromkeys("ab", "x"))
        return
    assert "{" not in render(template, dict.fromkeys(asked, "x")).replace("{", "", template.count("{{"))
    for missing in asked:
        with pytest.raises(KeyError):
            render(template, dict.fromkeys(asked - {missing}, "x"))


@given(TEXTS, st.integers(0, 64))
def test_a_cut_text_is_the_longest_beginning_that_fits(text: str, limit: int) -> None:
    kept = cut(text, limit)
    assert text.startswith(kept)
    assert len(kept.encode()) <= limit
    assert kept == text or len(text[: len(kept) + 1].encode()) > limit

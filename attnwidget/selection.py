"""What of a trace is looked at, and how: names and values of the widget's traits, held against the trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import traitlets

from attnwidget.outline import Site, first_shown, first_step
from attnwidget.tokens import Tokens
from attnwidget.trace import Trace
from attnwidget.wire import MEAN, Traits

MAX_HEADS = 1024  # how far a head may be chosen before there is a site to choose it from
_KERNEL_ONLY = ("protocol", "frame", "last_step", "follows", "selector")  # traits that are not a person's choice
CHOICES = tuple(name for name in Traits.class_traits(sync=True) if name not in _KERNEL_ONLY)


def check(trace: Trace, name: str, value: object, site: object) -> None:
    """Raise TraitError unless a value is within the trace, seen from a site.

    Args:
        trace: what is looked at.
        name: of a trait; those without a place in the trace are not checked.
        value: of that trait.
        site: index of the site.
    """
    sites = trace.sites
    if name == "site" and not _within([value], 0, max(len(sites), 1)):
        raise traitlets.TraitError(f"site: {value} came, the trace has {len(sites)} sites, counted from 0.")
    chosen = sites[site] if type(site) is int and 0 <= site < len(sites) else Site("the trace", "cross", 0, 0, "", "")
    if name == "step" and not _within([value], 0, max(chosen.n_queries, 1)):
        raise traitlets.TraitError(f"step: {value} came, {chosen.name} has {chosen.n_queries} steps, from 0.")
    if name == "head" and not _within([value], MEAN, chosen.n_heads if sites else MAX_HEADS):
        raise traitlets.TraitError(
            f"head: {value} came, {chosen.name} has {chosen.n_heads} heads, from 0; {MEAN} is their mean."
        )
    if name == "locked" and not _within(value, 0, chosen.n_keys):
        raise traitlets.TraitError(
            f"locked: what came are not {chosen.n_keys} different keys or fewer, from 0, as {chosen.name} has them."
        )


def chosen(trace: Trace, choices: dict[str, object]) -> dict[str, object]:
    """Return a whole selection: some choices of a person, and for the rest what is shown before anybody chose.

    Args:
        trace: what is looked at.
        choices: values by the names of the widget's traits.

    Raises:
        TypeError: no such trait, or one that is not a choice.
        TraitError: a value that the trait cannot have, or that the trace does not have.
    """
    for name in choices:
        if name not in CHOICES:
            raise TypeError(f"{name!r} came, one of {', '.join(sorted(CHOICES))} was expected.")
    sites = trace.sites
    site = choices.get("site", first_shown(sites))
    check(trace, "site", site, site)
    shown = sites[site] if isinstance(site, int) and sites else Site("", "cross", 0, 1, "", "")
    first = {"site": site, "step": first_step(shown), "head": MEAN if shown.n_heads > 1 else 0}
    traits = Traits(**{**first, **choices})
    for name in CHOICES:
        check(trace, name, getattr(traits, name), site)
    return {name: getattr(traits, name) for name in CHOICES}


def expected_strength(site: Site, keys: Tokens, choices: Mapping[str, object], n_rows: int) -> list[float]:
    """Return the strength that is expected of each key; empty for none.

    Args:
        site: where weights were taken.
        keys: the tokens of its keys.
        choices: `expectation`, `expected` and `strength`, as the widget's traits of these names.
        n_rows: how many rows were added up.
    """
    if choices["strength"] != "sum":
        return []
    rule, own = choices["expectation"], list(cast("list[float]", choices["expected"]))
    if rule == "auto":  # words that are read once may be expected to receive as much as one step gives
        is_mask = any(flag.kind == "mask" for flag in site.flags)
        rule = "one" if keys.scene is None and site.kind != "decoder" and not is_mask else "none"
    if rule == "own":
        return own if len(own) == site.n_keys else []
    return {"one": [1.0], "ratio": [n_rows / max(site.n_keys, 1)]}.get(str(rule), []) * site.n_keys


def _within(values: object, first: int, end: int) -> bool:
    """Tell whether these are different indices in [first, end)."""
    return (
        isinstance(values, list)
        and len(values) <= end - first
        and all(type(value) is int and first <= value < end for value in values)
        and len(set(values)) == len(values)
    )


def checked(trace: object) -> Trace:
    """Return a trace.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(trace, Trace):
        remedy = (
            "Pass its .trace."
            if isinstance(getattr(trace, "trace", None), Trace)
            else "Weights of another library become one with Trace.from_weights(weights, source=tokens)."
        )
        raise TypeError(f"trace: {type(trace).__name__} came, a Trace was expected. {remedy}")
    return trace

"""What is said of a fusion: its identity, its signature and its leakage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import vidbench
from vidbench.runs.context import KnownLeakage, RunContext
from vidbench.runs.coverage import digest_videos
from vidbench.runs.fusion_members import Member
from vidbench.runs.record import RecordedIdentity
from vidbench.storage.typed_json import encode


def identify_fusion(members: Sequence[Member]) -> RecordedIdentity:
    """What decides the predictions of a fusion, for ``run.json``."""
    identities = [member.identity for member in members]
    models = [one.model for one in identities]
    return RecordedIdentity(
        model="fusion of " + " + ".join(f"({m})" if " + " in m else m for m in models),
        members=tuple(member.as_recorded() for member in members),
        dataset=_join(one.dataset for one in identities),
        split=_join(one.split for one in identities),
        precision=_join(one.precision for one in identities),
        labels=_join(one.labels for one in identities),
        choices=tuple(members[0].context.choices),
    )


def describe_fusion(
    members: Sequence[Member], identity: RecordedIdentity, ids: Sequence[str]
) -> RunContext:
    """What else is known of a fusion of these videos."""
    views = _join(member.context.views for member in members)
    equal = len({member.weight for member in members}) == 1
    digests = (own.digest + ("" if equal else f" x {own.weight:.4g}") for own in members)
    choices = f", {len(identity.choices)} to choose from" if identity.choices else ""
    signature = [
        f"fusion of {len(members)} runs ({', '.join(digests)})",
        identity.split_name,
        f"{{evaluated}} of {len(ids)} videos {digest_videos(ids)}",
        f"{identity.labels}{choices}",
        f"{views} views",
        identity.precision,
        f"vidbench {vidbench.__version__}",
    ]
    leakage = merge_leakage([(member.run.name, member.context.leakage) for member in members])
    context = members[0].context
    return replace(context, signature=" | ".join(signature), views=views, leakage=leakage)


def merge_leakage(members: Sequence[tuple[str, KnownLeakage]]) -> KnownLeakage:
    """What is known of scored videos that members were trained on, the same where all agree.

    Else ``leaked_videos`` is the most of any member: the fusion has at least as many. It is None
    where that would be 0, but one searched no training list.

    Args:
        members: Names and what is known of each, at least one.
    """
    known = [leakage for _, leakage in members]
    if all(leakage == known[0] for leakage in known):
        return known[0]
    counts = [leakage.leaked_videos for leakage in known]
    most = max((count for count in counts if count is not None), default=0)
    published = _union([leakage.published_overlap or ""] for leakage in known)
    return KnownLeakage(
        trained_on=_join(leakage.trained_on or "unknown" for leakage in known),
        training_lists=_union(leakage.training_lists for leakage in known),
        leaked_videos=None if most == 0 and None in counts else most,
        examples=_union(leakage.examples for leakage in known),
        published_overlap="; ".join(filter(None, published)) or None,
        members=tuple({"run": name} | encode(leakage) for name, leakage in members),
    )


def _join(texts: Iterable[str]) -> str:
    """The text that all have, or each in turn."""
    found = list(texts)
    return found[0] if len(set(found)) == 1 else " + ".join(found)


def _union(lists: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for texts in lists for text in texts))

"""Identity, signature and leakage of a fusion."""

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
    """Identity of a fusion, which decides its predictions, for ``run.json``."""
    identities = [member.run.record.identity for member in members]
    models = [identity.model for identity in identities]
    return RecordedIdentity(
        model="fusion of " + " + ".join(f"({m})" if " + " in m else m for m in models),
        members=tuple(member.as_recorded() for member in members),
        dataset=_join(identity.dataset for identity in identities),
        split=_join(identity.split for identity in identities),
        precision=_join(identity.precision for identity in identities),
        labels=_join(identity.labels for identity in identities),
        choices=tuple(members[0].run.context.choices),
    )


def describe_fusion(
    members: Sequence[Member], identity: RecordedIdentity, ids: Sequence[str]
) -> RunContext:
    """Context of a fusion on these videos."""
    views = _join(member.run.context.views for member in members)
    equal = len({member.weight for member in members}) == 1
    digests = (m.digest + ("" if equal else f" x {m.weight:.4g}") for m in members)
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
    leakage = merge_leakage([(member.run.name, member.run.context.leakage) for member in members])
    context = members[0].run.context
    return replace(context, signature=" | ".join(signature), views=views, leakage=leakage)


def merge_leakage(members: Sequence[tuple[str, KnownLeakage]]) -> KnownLeakage:
    """Leakage of a fusion: that of its members if they agree, else merged.

    Merged, ``leaked_videos`` is the maximum over the members, a lower bound for the fusion. It is
    None if that is 0 and some member searched no training list.

    Args:
        members: Name and leakage of each member, at least one.
    """
    leakages = [leakage for _, leakage in members]
    if all(leakage == leakages[0] for leakage in leakages):
        return leakages[0]
    counts = [leakage.leaked_videos for leakage in leakages]
    most = max((count for count in counts if count is not None), default=0)
    published = _union([leakage.published_overlap or ""] for leakage in leakages)
    return KnownLeakage(
        trained_on=_join(leakage.trained_on or "unknown" for leakage in leakages),
        training_lists=_union(leakage.training_lists for leakage in leakages),
        leaked_videos=None if most == 0 and None in counts else most,
        examples=_union(leakage.examples for leakage in leakages),
        published_overlap="; ".join(filter(None, published)) or None,
        members=tuple({"run": name} | encode(leakage) for name, leakage in members),
    )


def _join(texts: Iterable[str]) -> str:
    """The common text if all are equal, else all of them joined by ``+``."""
    parts = list(texts)
    return parts[0] if len(set(parts)) == 1 else " + ".join(parts)


def _union(lists: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for texts in lists for text in texts))

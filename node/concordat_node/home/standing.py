"""What a suspension does to a round that is under way: the own organization's ends, others' answers are not used.

Rules of this file:

* A round is minted and judged by the bundle with which it began. Whether somebody may still speak is asked of the
  bundle in force, before anything is shown or stored.
* Who was suspended meanwhile is UNTRUSTED, found at home. The organization stays in the account: it was asked.
* A suspension of the own organization, or a bundle that has run out, ends the round; nothing of it is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from concordat_node.home.errors import HomeBundleUnusable
from concordat_node.home.judge import Believed, Finding, Judged
from concordat_trust.answer import VerifiedAnswer, merge_at_home
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.directory import require_standing
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.merge import Reported
from concordat_trust.question import Question

STANDING_CHECK_S = 0.5
"""How often a round under way looks at the bundle in force."""
T = TypeVar("T")
InForce = Callable[[], TrustedBundle | None]


def own_standing(in_force: InForce, organization: OrgId) -> TrustedBundle:
    """Return the bundle in force if the own organization may ask. Raises: HomeBundleUnusable, OrganizationSuspended."""
    bundle = in_force()
    if bundle is None:
        raise HomeBundleUnusable
    require_standing(bundle, organization)
    return bundle


async def while_standing(call: Coroutine[Any, Any, T], check: Callable[[], object]) -> T:
    """Return what `call` returns, or end it as soon as `check` raises, which is also asked at the end."""
    task = asyncio.create_task(call)
    try:
        while True:
            await asyncio.wait({task}, timeout=STANDING_CHECK_S)
            check()
            if task.done():
                return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def still_standing(organization: OrgId, believed: Believed, in_force: TrustedBundle) -> Believed:
    """Return what is believed of an answer, or why it no longer is."""
    try:
        require_standing(in_force, organization)
    except RefusedDocument as error:
        return Reported.at_home("UNTRUSTED", error.code) if isinstance(believed, VerifiedAnswer) else believed
    return believed


def still_believed(judged: Judged, question: Question, *, began_with: TrustedBundle, in_force: TrustedBundle) -> Judged:
    """Return the round without the answers of those who may no longer speak."""
    now = {org: still_standing(org, answer, in_force) for org, answer in judged.verified.items()}
    refused = {org: answer for org, answer in now.items() if isinstance(answer, Reported)}
    if not refused:
        return judged
    verified = {org: answer for org, answer in judged.verified.items() if org not in refused}
    reported = {**judged.reported, **refused}
    return replace(
        judged,
        merged=merge_at_home(question, tuple(verified.values()), reported, began_with),
        verified=verified,
        raw={org: answer for org, answer in judged.raw.items() if org not in refused},
        reported=reported,
        findings=(*judged.findings, *(Finding(org, str(report.code)) for org, report in sorted(refused.items()))),
    )

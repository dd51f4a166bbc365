"""The trust bundle: who is in the network, with which keys and caps, and how fresh this knowledge is."""

from concordat_trust.bundle.memory import BundleMemory
from concordat_trust.bundle.policy import MayAssert, MemberPolicy, NetworkPolicy
from concordat_trust.bundle.trusted import BundleView, Member, TrustedBundle
from concordat_trust.bundle.verify import verify_bundle

__all__ = [
    "BundleMemory",
    "BundleView",
    "MayAssert",
    "Member",
    "MemberPolicy",
    "NetworkPolicy",
    "TrustedBundle",
    "verify_bundle",
]

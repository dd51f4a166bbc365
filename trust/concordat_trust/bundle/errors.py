"""What can be wrong with a trust bundle, its members' statements, or a look-up in it.

`bundle_*` refuses a whole bundle: the mirror, the online signer or the keyholders must act, and a node goes on with
its last good copy until that expires. `statement_*` closes one member only: its own valid signature puts the blame on
it, and one lazy organization must not stop a network.
"""

from __future__ import annotations

from concordat_trust.errors import OperatorError, PeerFailure, RefusedDocument


class BundleBootstrapMismatch(RefusedDocument):
    code = "bundle_bootstrap_mismatch"
    sentence = "The first root of the bundle is not the one with the fingerprint {expected}."
    hint = "Compare the fingerprint that a keyholder gave you over another channel; never take it from the mirror."


class BundleRootChain(RefusedDocument):
    code = "bundle_root_chain"
    sentence = "Root version {version} does not follow from the one before: {problem}."
    hint = "Fetch the bundle from another mirror; if it is the same there, ask a keyholder."


class BundleThreshold(RefusedDocument):
    code = "bundle_threshold"
    sentence = "{role} is signed by {signed} of the {threshold} keys it needs."
    hint = "The keyholders must sign again; until then the last good copy stays in force."


class BundleTampered(RefusedDocument):
    code = "bundle_tampered"
    sentence = "{role} was changed after it was signed."
    hint = "Fetch the bundle from another mirror and report this one."


class BundleRollback(RefusedDocument):
    code = "bundle_rollback"
    sentence = "{role} has version {found}, and {expected} is due."
    hint = "The mirror serves an older or a mixed state; fetch the bundle from another one."


class BundleExpired(RefusedDocument):
    code = "bundle_expired"
    sentence = "{role} expired at {expires_at}; the time of verification is {at}."
    hint = (
        "Fetch a current bundle. If every mirror serves this one, the online signer or the keyholders must sign again."
    )


class BundleLifetimeCap(RefusedDocument):
    code = "bundle_lifetime_cap"
    sentence = (
        "{role} is signed for {lifetime_s} s from the time of verification; at most {lifetime_max_s} s are accepted."
    )
    hint = "A long lifetime would let a stolen key freeze the network; its signer must sign for a shorter time."


class BundleMissingMember(RefusedDocument):
    code = "bundle_missing_member"
    sentence = "The keyholders list {member}, but the bundle does not carry its part."
    hint = "Fetch the bundle from another mirror: a mirror or the online key must not shorten the roster."


class BundleMalformed(RefusedDocument):
    code = "bundle_malformed"
    sentence = "{document}: {problem}."
    hint = "The bundle breaks a rule of the format; its signer must correct it."


class BundleKeyForm(RefusedDocument):
    code = "bundle_key_form"
    sentence = "{document}: a key is not {problem}."
    hint = "The keyholders must list Ed25519 keys, each under its RFC 7638 thumbprint and nothing else."


class BundleQuorumTooSmall(RefusedDocument):
    code = "bundle_quorum_too_small"
    sentence = "root.json: {role} needs at least {threshold_min} keyholders, and {threshold} is enough for this one."
    hint = "The keyholders must sign a root with a larger threshold: one stolen key must not own the network."


class BundleOnlineKeyShared(RefusedDocument):
    code = "bundle_online_key_shared"
    sentence = "root.json: the online key is a keyholder's key."
    hint = "The keyholders must name an online key of its own; it lies on a machine that is always reachable."


class BundleAgeHidden(RefusedDocument):
    code = "bundle_age_hidden"
    sentence = "timestamp.json: it does not say when it was signed."
    hint = "The online signer must write it; nobody could tell the age of this state otherwise."


class BundleDelegationForeign(RefusedDocument):
    code = "bundle_delegation_foreign"
    sentence = "targets.json: {problem}."
    hint = "The keyholders must delegate one role to each member of network.json, for its own path, and nothing else."


class BundleKeyTwoRoles(RefusedDocument):
    code = "bundle_key_two_roles"
    sentence = "targets.json: a key serves two roles."
    hint = "The keyholders must list a key of its own for every member, and none of their own."


class BundleSuspendedRoleForeign(RefusedDocument):
    code = "bundle_suspended_role_foreign"
    sentence = "targets.json: the suspended role is not one keyholder's."
    hint = "The keyholders must delegate it to themselves, with a threshold of one."


class BundleReinstateUnauthorised(RefusedDocument):
    code = "bundle_reinstate_unauthorised"
    sentence = "{member} is missing from the list of suspensions, but the quorum has not reinstated it."
    hint = "The organization stays suspended; only the keyholders' quorum can reinstate it in network.json."


class SplitViewMalformed(RefusedDocument):
    code = "split_view_malformed"
    sentence = "The proof of a split view is malformed: {problem}."
    hint = "Name a file that a home node kept below split-views/, unchanged."


class SplitViewUnproven(RefusedDocument):
    code = "split_view_unproven"
    sentence = "What {organization} attested of snapshot {snapshot} does not contradict the bundle beside it."
    hint = "The two objects show no split view; somebody put together what does not belong together."


class BundleUnavailable(OperatorError):
    code = "bundle_unavailable"
    sentence = "There is no verified trust bundle yet."
    hint = "Check that a mirror is reachable and that the root fingerprint is the one of this network."


class OnlineKeyUnlisted(OperatorError):
    code = "online_key_unlisted"
    sentence = "The root of this network does not name the given online key."
    hint = "Use the key file that was made for the online signer, or let the keyholders sign a root that names it."


class TopologyInvalid(OperatorError):
    code = "topology_invalid"
    sentence = "The topology cannot be used: {problem}."
    hint = "Correct the file; docs/ describes its fields, and the demonstration's topology is an example."


class BundleArchiveInvalid(RefusedDocument):
    code = "bundle_archive_invalid"
    sentence = "{path}: {problem}."
    hint = "Fetch the bundle again; an archive damaged on its way is not read in part."


class BundleFileUnreadable(OperatorError):
    code = "bundle_file_unreadable"
    sentence = "{path}: {problem}."
    hint = "Name a bundle archive (ZIP) or the folder of a repository."


class BundleDirectoryUnwritable(OperatorError):
    code = "bundle_directory_unwritable"
    sentence = "{path}: {problem}."
    hint = "Make room on the disk and check the owner of the folder."


class StatementRefused(RefusedDocument):
    """A member's own fault: closes this member, never the bundle."""


class StatementMalformed(StatementRefused):
    code = "statement_malformed"
    sentence = "The entity statement of {member} is malformed: {problem}."
    hint = "The organization must publish a corrected statement."


class StatementSignatureInvalid(StatementRefused):
    code = "statement_signature_invalid"
    sentence = "The entity statement of {member} is not signed by one of the keys that the keyholders listed for it."
    hint = "The organization must sign its statement with its entity key."


class StatementWrongSubject(StatementRefused):
    code = "statement_wrong_subject"
    sentence = "The entity statement of {member} is issued by or about somebody else."
    hint = "Issuer and subject must both be the member's own id."


class StatementWrongKind(StatementRefused):
    code = "statement_wrong_kind"
    sentence = "{member} is listed as {kind}, but its statement does not describe one."
    hint = "Publish metadata for exactly the kind of member that the keyholders listed."


class StatementExpired(StatementRefused):
    code = "statement_expired"
    sentence = "The statement of {member} expired at {expires_at}; the time of verification is {at}."
    hint = "The organization must sign its statement and its role again."


class StatementNotYetValid(StatementRefused):
    code = "statement_not_yet_valid"
    sentence = "The statement of {member} was issued at {issued_at}, after the time of verification {at}."
    hint = "Check the clocks, or verify with the bundle of that time."


class StatementLifetime(StatementRefused):
    code = "statement_lifetime"
    sentence = "The statement of {member} is valid for {lifetime_s} s; at most {lifetime_max_s} s are accepted."
    hint = "The organization must sign for a shorter time."


class StatementEndpointInvalid(StatementRefused):
    code = "statement_endpoint_invalid"
    sentence = "The endpoint of {member} is not https://HOST[:PORT] (or http on loopback)."
    hint = "Publish scheme, host and port only, in lower case, without a path."


class StatementEndpointShared(StatementRefused):
    code = "statement_endpoint_shared"
    sentence = "{member} claims the endpoint that {owner} already has."
    hint = "Every member needs a host and port of its own; a request signature names them."


class StatementKeyShared(StatementRefused):
    code = "statement_key_shared"
    sentence = "{member} lists a key that {owner} already uses."
    hint = "Make a fresh key for every use; a key must name one member and one use."


class StatementKeyUnproven(StatementRefused):
    code = "statement_key_unproven"
    sentence = "{member} lists a key for {use} without showing that it holds it."
    hint = "Sign the statement again with the private keys at hand; each listed key signs who uses it and for what."


class StatementVisaIssuerShared(StatementRefused):
    code = "statement_visa_issuer_shared"
    sentence = "{member} claims the visa issuer {issuer} that {owner} already has."
    hint = "Visas count as those of the member whose key signed them; the keyholders must find out whose address it is."


class SuspensionReasonInvalid(OperatorError):
    code = "suspension_reason_invalid"
    sentence = "A suspension needs a reason: one line of 1 to {length_max} printable characters."
    hint = "Every member of the network can read it; name no person and no record."


class SuspensionStands(OperatorError):
    code = "suspension_stands"
    sentence = "{organization} is suspended already."
    hint = "Nothing was signed. Only the quorum of keyholders lifts a suspension."


class SuspensionKeyRefused(RefusedDocument):
    code = "suspension_key_refused"
    sentence = "The key {key_id} is not a keyholder's of this network."
    hint = "Give the private key of one of the keyholders whom the root metadata names, and the right repository."


class SuspensionRaced(OperatorError):
    code = "suspension_raced"
    sentence = "The repository holds {name} already: another keyholder has just signed that version."
    hint = "Run the command again in a few seconds, when the online signer has taken it up."


class PublicationRaced(OperatorError):
    code = "publication_raced"
    sentence = "The repository holds another {name} already: somebody else has just published that version."
    hint = "Fetch the bundle again and propose it anew."


class MirrorUnreachable(PeerFailure):
    code = "mirror_unreachable"
    sentence = "No bundle from {mirror}: {problem}."
    hint = "The last good copy stays in force until it expires; check the address and the network, or add a mirror."


class OnlineSignerNotLoopback(OperatorError):
    code = "online_signer_not_loopback"
    sentence = "The online signer was told to listen on {host}, which is not a loopback address."
    hint = "Put a TLS proxy in front of it, or say --public if it may be reached in the clear."


class OnlineSignerAddress(OperatorError):
    code = "online_signer_address"
    sentence = "The online signer cannot listen on {host}:{port}: {problem}."
    hint = "Choose another port, or end the process that holds this one."

"""What can be wrong with the documents that people hand to each other, and with what they ask to be signed."""

from __future__ import annotations

from concordat_trust.errors import OperatorError, RefusedDocument


class PublicPartInvalid(RefusedDocument):
    code = "public_part_invalid"
    sentence = "The public part of a key cannot be used: {problem}."
    hint = "Ask its owner for the file that `concordat trust keyholder` wrote, and compare the fingerprint by voice."


class InvitationInvalid(RefusedDocument):
    code = "invitation_invalid"
    sentence = "The invitation cannot be used: {problem}."
    hint = "Ask the keyholder who invited you for the file again; nothing in it may be changed."


class InvitationExpired(RefusedDocument):
    code = "invitation_expired"
    sentence = "The invitation ran out at {expires_at}; it is {at}."
    hint = "Ask a keyholder for a new one."


class InvitationUnauthorised(RefusedDocument):
    code = "invitation_unauthorised"
    sentence = "The invitation is not signed by a keyholder of this network."
    hint = "Ask the keyholders who sent it. Only one of them can invite."


class InvitationSpent(RefusedDocument):
    code = "invitation_spent"
    sentence = "The invitation of {organization} was used already."
    hint = "An invitation admits once. Ask a keyholder for a new one."


class InvitationOtherNetwork(RefusedDocument):
    code = "invitation_other_network"
    sentence = "The invitation is for another network than the one with the given root fingerprint."
    hint = "Compare the fingerprint that a keyholder told you with the one in the invitation."


class ApplicationInvalid(RefusedDocument):
    code = "application_invalid"
    sentence = "The application cannot be used: {problem}."
    hint = "The organization must make it again with `concordat trust apply`."


class ApplicationSignatureInvalid(RefusedDocument):
    code = "application_signature_invalid"
    sentence = "The application of {organization} is not signed with the organization key that it names."
    hint = "It was changed on its way, or made by somebody who does not hold that key. Ask the organization."


class ApplicationNonceMismatch(RefusedDocument):
    code = "application_nonce_mismatch"
    sentence = "The statement of {organization} does not carry the nonce of its invitation."
    hint = "Its statement was made for another invitation. The organization must apply again."


class ApplicationKeyKnown(RefusedDocument):
    code = "application_key_known"
    sentence = "{organization} applies with a key that {owner} already uses."
    hint = "Every key must be new. The organization must apply again with fresh keys."


class SelfTestFailed(RefusedDocument):
    code = "self_test_failed"
    sentence = "The join self-test of {organization} did not pass: {problem}."
    hint = "The organization mends what the test names and applies again."


class ApprovalInvalid(RefusedDocument):
    code = "approval_invalid"
    sentence = "The approval file cannot be used: {problem}."
    hint = "Ask the keyholder for the file again; nothing in it may be changed."


class ApprovalsDiffer(RefusedDocument):
    code = "approvals_differ"
    sentence = "The approval files do not approve the same thing."
    hint = "Collect approvals that were all made from one first file: `concordat trust approve FIRST-APPROVAL`."


class ApprovalsTooFew(RefusedDocument):
    code = "approvals_too_few"
    sentence = "{document} has {signed} of the {threshold} signatures that it needs."
    hint = "Ask further keyholders to approve the same file, and give all approvals to `concordat trust publish`."


class ApprovalSignatureInvalid(RefusedDocument):
    code = "approval_signature_invalid"
    sentence = "An approval carries a signature of {key_id} that does not fit {document}."
    hint = "The file was changed, or was made for another state of the network. Ask that keyholder to approve again."


class ApproverUnknown(RefusedDocument):
    code = "approver_unknown"
    sentence = "The key {key_id} is not a keyholder's of this network."
    hint = "Use the private key of a keyholder whom the root names; an organization's key approves nothing."


class ChangeOutdated(RefusedDocument):
    code = "change_outdated"
    sentence = "This was proposed for {base}, and the network is at {current}."
    hint = "Something else was published meanwhile. Propose it again from a fresh bundle; or it is published already."


class ChangeTooOld(RefusedDocument):
    code = "change_too_old"
    sentence = "This was proposed at {made_at}; it is {at}, and a proposal holds for {age_max_s} s."
    hint = "Propose it again. If it lies in the future, compare the clocks of both machines."


class ChangeRefused(OperatorError):
    code = "change_refused"
    sentence = "This cannot be proposed: {problem}."
    hint = "Nothing was signed."


class OwnRoleInvalid(RefusedDocument):
    code = "own_role_invalid"
    sentence = "What the organization signed about itself cannot be published: {problem}."
    hint = "The organization must make it again with `concordat trust rotate`, from a fresh bundle."


class StatisticsMismatch(RefusedDocument):
    code = "statistics_mismatch"
    sentence = "The term statistics at hand are not those of the founding."
    hint = "Give the same file as the first keyholder with --statistics."


class NotConfirmed(OperatorError):
    code = "not_confirmed"
    sentence = "Nothing was signed: the change was not confirmed."
    hint = "Read the difference and answer yes, or say --yes where nobody can be asked."

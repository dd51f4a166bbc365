"""Why an answer, a merged result or a saved answer is refused: one leaf per check.

Every leaf names the organization whose answer is wrong, and where it helps the position of the result (from 0); never
anything of a record. What concerns the signature of an attestation stands in `attestation`, with the same fields added.
"""

from __future__ import annotations

from concordat_trust.errors import RefusedDocument


class AnswerRefused(RefusedDocument):
    """Family of what a node's own answer can have wrong."""


class AttestationWrongOrganization(AnswerRefused):
    code = "attestation_wrong_organization"
    sentence = "The answer of {organization} is attested by another organization."
    hint = "Do not use this answer; whoever relayed it mixed two organizations up."


class AttestationWrongAudience(AnswerRefused):
    code = "attestation_wrong_audience"
    sentence = "The answer of {organization} is for another home organization."
    hint = "Do not use this answer; ask again."


class AttestationWrongToken(AnswerRefused):
    code = "attestation_wrong_token"
    sentence = "The answer of {organization} is for another query token."
    hint = "Do not use this answer; it is an old one, or somebody else's."


class AttestationWrongQuestion(AnswerRefused):
    code = "attestation_wrong_question"
    sentence = "The answer of {organization} is for another question."
    hint = "Do not use this answer; ask again."


class AttestationWrongPart(AnswerRefused):
    code = "attestation_wrong_part"
    sentence = "The answer of {organization} is for another part of the question."
    hint = "Do not use this answer; ask again."


class AttestationSplitView(AnswerRefused):
    code = "attestation_split_view"
    sentence = "{organization} believes another state of the network under the same version number."
    hint = "Two signed states with one number: report this to the keyholders and compare the mirrors."


class CursorNotAttested(AnswerRefused):
    code = "cursor_not_attested"
    sentence = "The cursor that came with the answer of {organization} is not the one it attested."
    hint = "Somebody on the way exchanged or removed it; ask again, through another coordinator if there is one."


class ReceiptMissing(AnswerRefused):
    code = "receipt_missing"
    sentence = "The answer of {organization} comes without the receipt of its disclosure log."
    hint = "The node did not send it, or somebody on the way withheld it; do not use this answer."


class ReceiptMalformed(AnswerRefused):
    code = "receipt_malformed"
    sentence = "The receipt of {organization} breaks a rule of its form: {problem}."
    hint = "The node does not follow the protocol; its operator must look at it."


class ReceiptWrongLeaf(AnswerRefused):
    code = "receipt_wrong_leaf"
    sentence = "The receipt of {organization} is for another answer than the one it attested."
    hint = "The node logged something else than it sent, or somebody exchanged the receipt; do not use this answer."


class ReceiptWrongLog(AnswerRefused):
    code = "receipt_wrong_log"
    sentence = "The receipt of {organization} rests on a checkpoint of another log, or of another size."
    hint = "The node does not follow the protocol; its operator must look at it."


class ReceiptTime(AnswerRefused):
    code = "receipt_time"
    sentence = "The receipt of {organization} is of {issued_at}; the question was asked at {at}."
    hint = "The receipt is an old one, or the clocks differ: compare the clocks of both machines."


class LogSplitView(AnswerRefused):
    code = "log_split_view"
    sentence = "{organization} signed two different logs of {size} entries."
    hint = "Its log was rewritten or restored from an older copy: keep both answers as the proof, tell the keyholders."


class StatusInconsistent(AnswerRefused):
    code = "status_inconsistent"
    sentence = "The answer of {organization} contradicts its own status: {problem}."
    hint = "The node does not follow the protocol; its operator must look at it."


class StatsRevisionMismatch(AnswerRefused):
    code = "stats_revision_mismatch"
    sentence = "{organization} scored with other term statistics than the question names."
    hint = "Compare the versions of the trust bundle on both sides, and ask again."


class FacetsInconsistent(AnswerRefused):
    code = "facets_inconsistent"
    sentence = "The counts that {organization} gives for {field} contradict its records or its total."
    hint = "The node does not follow the protocol; its operator must look at it."


class RecordNotAttested(AnswerRefused):
    code = "record_not_attested"
    sentence = "Result {position} of {organization} is not one that it attested."
    hint = "The record was altered or added after its organization signed the answer; do not use it."


class RecordMissing(AnswerRefused):
    code = "record_missing"
    sentence = "{organization} attested {attested} records, and {found} arrived."
    hint = "Somebody between that organization and you withholds records; ask again another way."


class RecordDuplicate(AnswerRefused):
    code = "record_duplicate"
    sentence = "Result {position} of {organization} stands in its answer twice."
    hint = "The node does not follow the protocol; its operator must look at it."


class RecordForeign(AnswerRefused):
    code = "record_foreign"
    sentence = "Result {position} of {organization} belongs to another organization."
    hint = "An organization speaks for its own records only; its operator must look at it."


class RecordNotAsked(AnswerRefused):
    code = "record_not_asked"
    sentence = "Result {position} of {organization} is not one of the records that were asked for."
    hint = "The node does not follow the protocol; its operator must look at it."


class RecordNotMatching(AnswerRefused):
    code = "record_not_matching"
    sentence = "Result {position} of {organization} does not match the question by what it discloses."
    hint = "The node dropped a condition or matched on hidden text; its operator must look at it."


class SortKeyMismatch(AnswerRefused):
    code = "sort_key_mismatch"
    sentence = "The sort key of result {position} of {organization} is not the one its record gives."
    hint = "The node scores differently, by mistake or to be shown first; its operator must look at it."


class TieKeyMismatch(AnswerRefused):
    code = "tie_key_mismatch"
    sentence = "The tie key of result {position} of {organization} is not the hash of its id."
    hint = "The node does not follow the protocol; its operator must look at it."


class OrderMismatch(AnswerRefused):
    code = "order_mismatch"
    sentence = "The results of {organization} are not in their order at position {position}."
    hint = "The node, or somebody on the way, orders them differently; do not use this order."


class AnswerDuplicate(RefusedDocument):
    code = "answer_duplicate"
    sentence = "There are two answers of {organization}."
    hint = "An organization answers a question once; ask again."


class AnswerNotInRoster(RefusedDocument):
    code = "answer_not_in_roster"
    sentence = "There is an answer of {organization}, which was not asked or is not in the roster."
    hint = "Compare the versions of the trust bundle on both sides."


class MergeMismatch(RefusedDocument):
    code = "merge_mismatch"
    sentence = "The merged result is not the one that the answers give; it differs at {where}."
    hint = "The result was altered, or was merged by other rules; only the one computed here counts."


class SavedAnswerMalformed(RefusedDocument):
    code = "saved_answer_malformed"
    sentence = "The saved answer is damaged at {where}: {problem}."
    hint = "Save the answer again; a file that was edited cannot be verified."


class SavedAnswerWrongNetwork(RefusedDocument):
    code = "saved_answer_wrong_network"
    sentence = "The saved answer is of another network than the trust bundle."
    hint = "Verify it with the bundle and the root fingerprint of its own network."


class DeliveryMismatch(RefusedDocument):
    code = "delivery_mismatch"
    sentence = "The coordinator delivered another answer of {organization} than the one that is here."
    hint = "An answer was exchanged, removed or invented after it was delivered."


class DeliveryMissing(RefusedDocument):
    code = "delivery_missing"
    sentence = "The question went through a coordinator, but its signed delivery is not here."
    hint = "Without it nobody can tell what was delivered and what was left out; save the answer again."


class SavedWalkMalformed(RefusedDocument):
    code = "saved_walk_malformed"
    sentence = "The file is not a saved walk of this release: {problem}."
    hint = "Use the file as `concordat lineage --save` wrote it."


class WalkMismatch(RefusedDocument):
    code = "walk_mismatch"
    sentence = "The saved walk is not the one that follows from its answers, first at {where}."
    hint = "A round or a part of the picture was added, left out or changed after the walk; do not rely on it."


class SealedPartMissing(AnswerRefused):
    code = "sealed_part_missing"
    sentence = "An organization attests a sealed part of its answer, and it is not there."
    hint = "It was withheld on its way, or the node left it out; ask again through another coordinator."


class SealedPartUnexpected(AnswerRefused):
    code = "sealed_part_unexpected"
    sentence = "A sealed part came with an answer that attests none, or beside results in the open."
    hint = "It was put there on its way, or the node does not follow the protocol."


class SealedPartMismatch(AnswerRefused):
    code = "sealed_part_mismatch"
    sentence = "The sealed part of an answer is not the one that its organization attests."
    hint = "It was exchanged on its way, or the node does not follow the protocol; do not use this answer."


class SealedPartMalformed(AnswerRefused):
    code = "sealed_part_malformed"
    sentence = "The sealed part of an answer breaks a rule of its form: {problem}."
    hint = "The node does not follow the protocol; its operator must look at it."

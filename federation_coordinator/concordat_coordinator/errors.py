"""What a relay refuses and what goes wrong around it, as far as no other part has a name for it.

Codes of a node's own failings (`node_*`) are what the completeness of an answer shows for that organization.
"""

from concordat_trust.errors import OperatorError, PeerFailure, RefusedDocument, RequesterError


class AskTooLarge(RequesterError):
    code = "relay_ask_too_large"
    sentence = "The {what} of the question has {size}; this coordinator relays at most {size_max}."
    hint = "Ask for less, or ask the organizations in several questions."


class BodyTooSlow(PeerFailure):
    code = "relay_body_too_slow"
    sentence = "The question's body did not arrive within {seconds_max} s."
    hint = "Send the whole body at once; look at what is between the sender and the coordinator."


class DeadlineOutOfRange(RequesterError):
    code = "relay_deadline_out_of_range"
    sentence = "A deadline of {deadline_ms} ms is not between {deadline_ms_min} and {deadline_ms_max}."
    hint = "Ask with a deadline that this coordinator allows."


class PartsMalformed(RefusedDocument):
    code = "relay_parts_malformed"
    sentence = "The parts are not a JSON object of organization and part."
    hint = "Send {{organization: part}} as one JSON text, each part exactly as it was hashed."


class QuestionNetworkForeign(RefusedDocument):
    code = "relay_network_foreign"
    sentence = "The question is for the network {network!r}, this coordinator serves {served!r}."
    hint = "Ask a coordinator of that network."


class HomeMismatch(RefusedDocument):
    code = "relay_home_mismatch"
    sentence = "The request is signed by {presenter}, its query token by {issuer}."
    hint = "A coordinator relays only for the organization that asks: sign both with that organization's keys."


class DocumentUnknown(RefusedDocument):
    code = "relay_document_unknown"
    sentence = "There is no trusted document with this id."
    hint = "Send the documentId of a document of this release's wire schema; query texts are not executed."


class DocumentNotAcceptable(RefusedDocument):
    code = "relay_document_not_acceptable"
    sentence = "The request does not accept the media type in which its document is answered."
    hint = "Send `accept: text/event-stream` with `askProgress`, and only with it."


class CoordinatorOverloaded(PeerFailure):
    code = "coordinator_overloaded"
    sentence = "The coordinator already relays {asks_max} questions."
    hint = "Ask again in a moment, or ask the organizations directly."


class CoordinatorStopping(PeerFailure):
    code = "coordinator_stopping"
    sentence = "The coordinator is stopping and takes no more questions."
    hint = "Ask another coordinator, or ask the organizations directly."


class NodeAnswerEmpty(PeerFailure):
    code = "node_answer_empty"
    sentence = "The node answered with nothing."
    hint = "The node, or something in front of it, closes the answer early; its operator must look at it."


class NodeAnswerContentType(PeerFailure):
    code = "node_answer_content_type"
    sentence = "The node's answer is not GraphQL over JSON."
    hint = "Something in front of the node answers in its place, with a page for people perhaps."


class NodeAnswerHttpStatus(PeerFailure):
    code = "node_answer_http_status"
    sentence = "The node answered with HTTP status {http_status}, which this protocol does not use."
    hint = "The node, or something in front of it, failed; its operator must look at its log."


class NodeAnswerErrors(PeerFailure):
    code = "node_answer_errors"
    sentence = "The node's answer carries GraphQL errors beside or instead of its data."
    hint = "A node answers whole or refuses; its operator must look at its log."


class NodeAnswerTooManyResults(PeerFailure):
    code = "node_answer_too_many_results"
    sentence = "The node sent {count} results; a question has at most {count_max} candidates."
    hint = "The node does not follow the protocol; its operator must look at it."


class NodeResultAmbiguous(PeerFailure):
    code = "node_result_ambiguous"
    sentence = "A result is not one record with its salt."
    hint = "The node does not follow the wire schema; its operator must look at it."


class PortInUse(OperatorError):
    code = "coordinator_port_in_use"
    sentence = "{host}:{port} {problem}."
    hint = "Stop what listens there, or choose another port with --port."


class CoordinatorSettingInvalid(OperatorError):
    code = "coordinator_setting_invalid"
    sentence = "The setting {setting} {problem}."
    hint = "Correct the setting; `concordat coordinator serve --help` lists them."


class CoordinatorNotMember(OperatorError):
    code = "coordinator_not_member"
    sentence = "The trust bundle does not name {organization} as a coordinator with this {use} key."
    hint = "Have the keyholders publish the coordinator's entity statement, or point to the key that it names."


class CoordinatorNotReady(PeerFailure):
    code = "coordinator_not_ready"
    sentence = "The coordinator has no trust bundle that is valid now."
    hint = "Ask again in a moment; its operator must look at the trust mirrors."


class NodeRefused(PeerFailure):
    code = "node_refused_request"
    sentence = "The node refused the request: {node_code}."
    hint = "The node's code says why; it refused before it decided anything about records."


class NotAskedInTime(PeerFailure):
    code = "not_asked_in_time"
    sentence = "The deadline passed before this organization's turn came."
    hint = "Ask with a longer deadline; the coordinator asks a bounded number of organizations at a time."


class RelayHeaderRepeated(RefusedDocument):
    code = "relay_header_repeated"
    sentence = "A header that carries identity was sent twice."
    hint = "Send authorization, content-type, content-digest, signature, signature-input and host once each."


class RelayFailed(OperatorError):
    code = "relay_failed"
    sentence = "The coordinator could not relay for a reason of its own."
    hint = "The coordinator's log names the reason; nothing of it leaves the coordinator."

"""What a registrar's request can be refused with. To anybody else there is one refusal, `not_registrar`."""

from __future__ import annotations

from concordat_trust.errors import RequesterError


class NotRegistrar(RequesterError):
    code = "not_registrar"
    sentence = "Only a registrar of this organization may read or change the registry here."
    hint = "Ask the operator of the node to map your claims to `registrar` in the setting `home`, then sign in again."


class RegistrarSignInOld(RequesterError):
    code = "registrar_sign_in_old"
    sentence = "A registrar must have signed in within the last {minutes} minutes."
    hint = "Sign in again: the identity provider is asked whether you still are a registrar."


class EntryUnknown(RequesterError):
    code = "registry_entry_unknown"
    sentence = "The registry has no such entry."
    hint = "List the entries (GET on the collection) and copy the id."


class EntryExists(RequesterError):
    code = "registry_entry_exists"
    sentence = "The registry already has an entry with this id."
    hint = "Change it with PUT and If-Match, or register under another name."


class EntryNotDeleted(RequesterError):
    code = "registry_entry_not_deleted"
    sentence = "Only a deleted entry can be restored."
    hint = "Change it with PUT and If-Match."


class PreconditionRequired(RequesterError):
    code = "precondition_required"
    sentence = "A change needs If-Match with the ETag of the entry that was read (RFC 6585 §3)."
    hint = "Read the entry, then send its ETag as If-Match."


class RevisionChanged(RequesterError):
    code = "revision_changed"
    sentence = "The entry has another revision than If-Match says (RFC 9110 §13.1.1)."
    hint = "Read the entry again, look at what changed, and repeat with its new ETag."


class IdempotencyKeyInvalid(RequesterError):
    code = "idempotency_key_invalid"
    sentence = "The Idempotency-Key is not 1 to {length_max} printable ASCII characters without spaces."
    hint = "Send a new random key, such as a UUID, with each new request."


class IdempotencyKeyReused(RequesterError):
    code = "idempotency_key_reused"
    sentence = "This Idempotency-Key was already used for another request."
    hint = "Repeat a request with its own key and the same content; use a new key for a new request."

"""What goes wrong in the registry and its database, by who must act."""

from __future__ import annotations

from concordat_trust.errors import OperatorError, RefusedDocument


class StorageFull(OperatorError):
    code = "storage_full"
    sentence = "The disk is full: nothing of the current batch was stored."
    hint = "Free disk space and repeat: what was stored stays, and storing the same again changes nothing."


class StorageBusy(OperatorError):
    code = "storage_busy"
    sentence = "The database is locked by another process."
    hint = "Wait until the other import or migration has ended, then repeat."


class StorageFailed(OperatorError):
    code = "storage_failed"
    sentence = "The database cannot be used: {reason}."
    hint = "Check that the file exists, belongs to this user and is not damaged; restore a backup if it is."


class SchemaNewer(OperatorError):
    code = "schema_newer"
    sentence = "The database has schema {found}, which this program does not know."
    hint = "Run the version of Concordat that wrote it, or a later one."


class IndexStale(OperatorError):
    code = "index_stale"
    sentence = "The text index was built with other term statistics than the network's current ones."
    hint = "Rebuild the index; the node does this by itself when it starts."


class ImportUnreadable(OperatorError):
    code = "import_unreadable"
    sentence = "The import file cannot be read: {reason}."
    hint = "Give the path of a file with one JSON object per line that this user may read."


class AssetForeign(RefusedDocument):
    code = "asset_foreign"
    sentence = "The id belongs to another organization than {organization}."
    hint = "A node registers only its own assets; leave out the id and give a local_name."


class DuoCodeUnknown(RefusedDocument):
    code = "duo_code_unknown"
    sentence = "{field} is not a DUO code."
    hint = 'Write the code as "DUO:" and seven digits, such as DUO:0000042; labels and shorthands are not codes.'


class DuoPermissionCount(RefusedDocument):
    code = "duo_permission_count"
    sentence = "{field}: an asset has exactly one DUO permission, and modifiers beside it."
    hint = "Keep the one permission that applies in `permission`; put only modifiers into `modifiers`."


class DuoModifierRepeated(RefusedDocument):
    code = "duo_modifier_repeated"
    sentence = "{field}: the same DUO modifier stands there twice."
    hint = "Write a modifier once, with all its parameters."


class DuoDiseaseMismatch(RefusedDocument):
    code = "duo_disease_mismatch"
    sentence = "{field}: a disease belongs to disease specific research (DUO:0000007), and to nothing else."
    hint = "Name the disease for DUO:0000007; leave it out for every other permission."


class VersionRepeated(RefusedDocument):
    code = "version_repeated"
    sentence = "{field}: two versions of one asset have the same label."
    hint = "Give each version its own label; a changed artefact is a new version."


class VersionUnknown(RefusedDocument):
    code = "version_unknown"
    sentence = "{field}: names a version that the asset does not have."
    hint = "List the version in `versions`, or leave the name out."


class VersionWithdrawn(RefusedDocument):
    code = "version_withdrawn"
    sentence = "{field}: the current version is a withdrawn one."
    hint = "Name an active version, or none: then the newest active one is the current one."


class EntryDeleted(RefusedDocument):
    code = "registry_entry_deleted"
    sentence = "{field}: this entry was deleted."
    hint = "Restore it explicitly (the REST door's `restore`), or register it under another name."


class ImportLinesMax(RefusedDocument):
    code = "import_lines_max"
    sentence = "The import has more than {lines_max} lines; this line and what follows was not read."
    hint = "Split the file and import the parts one after another."


class LineageSelf(RefusedDocument):
    code = "lineage_self"
    sentence = "{field}: an asset does not come from itself."
    hint = "Name the other asset; for a new state of the same one, register it as an asset of its own."


class LineageInverted(RefusedDocument):
    code = "lineage_inverted"
    sentence = "{field}: both assets are yours, and the edge stands with the one that came from the other."
    hint = "Write the edge into the line of the asset that was made; inverse words are for assets of others."


class LineageEdgesMax(RefusedDocument):
    code = "lineage_edges_max"
    sentence = "{field}: an asset asserts at most {edges_max} edges, those of trained_on and evaluations included."
    hint = "Register what many assets have in common as an asset of its own, and name that."


class LineageCycle(RefusedDocument):
    code = "lineage_cycle"
    sentence = "{field}: an asset of this line would come from itself, over other assets of this node."
    hint = "One of the edges is the wrong way round: it goes from what was made to what it was made from."


class LineageTooDeep(RefusedDocument):
    code = "lineage_too_deep"
    sentence = "{field}: more than {ancestors_max} assets of this node stand behind this one."
    hint = "Leave out the edge; so long a history cannot be checked for cycles at every import."

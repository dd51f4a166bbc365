"""What can go wrong in putting a node together and running it."""

from __future__ import annotations

from concordat_trust.errors import OperatorError


class PortInUse(OperatorError):
    code = "port_in_use"
    sentence = "{host}:{port} {problem}."
    hint = "Stop what listens there, or choose another port with --port."


class NodeNotMember(OperatorError):
    code = "node_not_member"
    sentence = "The trust bundle does not name {organization} with this {use} key."
    hint = "Publish the organization's entity statement with this key, or point the settings to the key it names."


class DataDirUnusable(OperatorError):
    code = "data_dir_unusable"
    sentence = "The folder {path} cannot be used: {problem}."
    hint = "Check the setting data_dir, the folder's owner and the free space."


class SettingsFileExists(OperatorError):
    code = "settings_file_exists"
    sentence = "{path} is there already and is never overwritten."
    hint = "Choose another path for --settings, or move the old file away yourself."


class IdSecretUnusable(OperatorError):
    code = "id_secret_unusable"
    sentence = "The id secret {path} {problem}."
    hint = "Restore it from the backup: with another one, the same local names would get other ids."


class SplitViewFound(OperatorError):
    code = "split_view_found"
    sentence = "{count} split views were found: two signed states of the network under one number, such as {first}."
    hint = "Check it with `concordat trust verify-split FILE` and send it to the keyholders; the file is the proof."


class TlsFilesUnusable(OperatorError):
    code = "tls_files_unusable"
    sentence = "The certificate cannot be used: {path}: {problem}."
    hint = "Name a PEM chain and its key (mode 0600) in tls_certificate_file and tls_key_file, or leave both out."


class MappingBeyondCaps(OperatorError):
    code = "claims_mapping_beyond_caps"
    sentence = "The claims mapping says what the network does not let this organization say: {claims}."
    hint = "Whoever is mapped to it cannot ask (a clearance is lowered): change the mapping, or ask the keyholders."


class NoPeople(OperatorError):
    code = "home_not_configured"
    sentence = "This node has no people of its own: there is no setting home."
    hint = "docs/identity.md shows the setting."


class SignatureRunsOut(OperatorError):
    code = "signature_runs_out"
    sentence = "{what}."
    hint = (
        "Sign again before nobody can ask you any more: concordat trust rotate YOUR-ID --renew, and publish the file."
    )

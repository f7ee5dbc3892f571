"""Artifacts inside an artifact: the files of several, each under the number of its member.

Takes manifests and files as `training.artifact.load_files` gives them; gives one set of files, and the members back.
"""

import json
from collections.abc import Collection, Mapping, Sequence

from training.artifact import ARTIFACTS, ArtifactError, Manifest
from training.trainer import Artifact, load_class

MEMBER, MEMBER_MANIFEST = "member{number}.", "manifest.json"


def packed(found: Sequence[tuple[Manifest, Mapping[str, bytes]]]) -> dict[str, bytes]:
    """Return the files of artifacts, and their manifests, each under its member's number."""
    files: dict[str, bytes] = {}
    for number, (manifest, own) in enumerate(found):
        prefix = MEMBER.format(number=number)
        files |= {prefix + name: data for name, data in own.items()}
        files[prefix + MEMBER_MANIFEST] = manifest.to_json(own).encode()
    return files


def members(files: Mapping[str, bytes], *, refused: Collection[str]) -> tuple[Artifact, ...]:
    """Rebuild the artifacts that `packed` packed.

    Raises:
        ArtifactError: there is none, one is by a trainer that is unknown or among the `refused`, or a file is no
            member's.
    """
    found: list[Artifact] = []
    while (prefix := MEMBER.format(number=len(found))) + MEMBER_MANIFEST in files:
        found.append(_member(prefix, files, refused))
    if not found:
        raise ArtifactError(f"it holds no {MEMBER.format(number=0)}{MEMBER_MANIFEST}; train again")
    own = tuple(MEMBER.format(number=number) for number in range(len(found)))
    if strange := [name for name in files if not name.startswith(own)]:
        raise ArtifactError(f"the files {strange} are no member's; train again")
    return tuple(found)


def _member(prefix: str, files: Mapping[str, bytes], refused: Collection[str]) -> Artifact:
    own = {name.removeprefix(prefix): data for name, data in files.items() if name.startswith(prefix)}
    manifest = Manifest.of(json.loads(own.pop(MEMBER_MANIFEST)))
    if manifest.trainer not in ARTIFACTS or manifest.trainer in refused:
        raise ArtifactError(f"{prefix}: made by trainer {manifest.trainer!r}, which is no member's; train again")
    member: Artifact = load_class(ARTIFACTS[manifest.trainer]).read(manifest, own)
    return member

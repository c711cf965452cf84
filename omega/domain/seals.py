"""Signatures of versions: what a version says, where it stands, and its content belong together, and we wrote
them (docs/adr/0020).

The statement that is signed has the resource, bucket, name and number of the version, its kind, attributes
and payload; the payload has the SHA-256 of the content, which whoever reads the content checks. Only the time
of the version and the id of the one before are not in it.
"""

import json

from attrs import evolve

from omega.domain.catalogue import Draft, Version
from omega.domain.errors import Corrupt
from omega.domain.metadata import JSONObject
from omega.ports.signer import Signer


def sealed(signer: Signer, draft: Draft, *, resource: str, bucket: str, name: str, number: int) -> Draft:
    """The draft with its signature as version `number` of this object, and of no other."""
    statement = _statement(
        [resource, bucket, name, number], kind=draft.kind, payload=draft.payload, attributes=draft.attributes
    )
    return evolve(draft, payload={**draft.payload, "signature": signer.sign(statement)})


def check_seal(signer: Signer, version: Version) -> None:
    """Nothing, if the version is as it was when we signed it, where it was then.

    Raises: Corrupt.
    """
    if not is_sealed(signer, version):
        about = version.metadata
        raise Corrupt(
            f"version {about.version} of {about.resource} {about.name!r} was changed, or is not signed by "
            "this installation: it is not loaded"
        )


def is_sealed(signer: Signer, version: Version) -> bool:
    """Whether the version is as it was when we signed it, where it was then."""
    about = version.metadata
    statement = _statement(
        [about.resource, about.bucket, about.name, about.version],
        kind=about.kind,
        payload=version.payload,
        attributes=about.attributes,
    )
    signature = version.payload.get("signature")
    return isinstance(signature, str) and signer.verify(statement, signature=signature)


def _statement(place: list[str | int], *, kind: str, payload: JSONObject, attributes: JSONObject) -> bytes:
    told = {part: value for part, value in payload.items() if part != "signature"}
    # What JSON cannot hold, no record can: it is refused when it is written.
    return json.dumps([*place, kind, told, attributes], sort_keys=True, default=str).encode()

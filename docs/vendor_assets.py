"""Bring the documentation pages' own files into the package: `python docs/vendor_assets.py`. Needs npm.

Versions and checksums are fixed here; the same files come out each time.
"""

import base64
import gzip
import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

ASSETS: Final = Path(__file__).parents[1] / "omega/entrypoints/http/assets"
#: Of each package its version, the SHA-512 of its archive, and which of its files are kept, under which name.
#: ReDoc 3 is twice the size and offers to hand the description to other people's services.
PACKAGES: Final = {
    "swagger-ui-dist": (
        "5.35.0",
        "U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ==",
        {
            "swagger-ui-bundle.js": "swagger-ui-bundle.js.gz",
            "swagger-ui.css": "swagger-ui.css.gz",
            "LICENSE": "swagger-ui.LICENSE.txt",
            "NOTICE": "swagger-ui.NOTICE.txt",
            "swagger-ui-bundle.js.LICENSE.txt": "swagger-ui-bundle.js.LICENSE.txt",
        },
    ),
    "redoc": (
        "2.5.4",
        "M6jWhG1qoBnH6TFmzJnstyCZ87HmOY/UzDm78mHiYihEdlV/YcS9ogOo1NlElnJMeLsyxHFe2yFc4sNjHTrABQ==",
        {
            "bundles/redoc.standalone.js": "redoc.standalone.js.gz",
            "LICENSE": "redoc.LICENSE.txt",
            "bundles/redoc.standalone.js.LICENSE.txt": "redoc.standalone.js.LICENSE.txt",
        },
    ),
}
#: ReDoc asks the network for a picture beside its name, and leaves it out where it cannot be had. The maps
#: are for those who debug the bundles, and are not here.
CHANGES: Final = {
    "redoc.standalone.js.gz": (
        (b'src:"https://cdn.redoc.ly/redoc/logo-mini.svg"', b'src:"data:,"'),
        (b"\n//# sourceMappingURL=redoc.standalone.js.map", b""),
    ),
    "swagger-ui.css.gz": ((b"/*# sourceMappingURL=swagger-ui.css.map*/", b""),),
}


def main() -> None:
    """Fetch, check, change, compress."""
    for package, (version, checksum, files) in PACKAGES.items():
        with tempfile.TemporaryDirectory() as directory:
            command = ["npm", "pack", "--silent", f"{package}@{version}"]
            subprocess.run(command, cwd=directory, check=True)  # noqa: S603  nothing in it comes from outside
            archive = Path(directory) / f"{package}-{version}.tgz"
            found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
            if found != checksum:
                raise SystemExit(f"{archive.name} is not the one that is wanted: its SHA-512 is {found}")
            with tarfile.open(archive) as content:
                for source, target in files.items():
                    (ASSETS / target).write_bytes(_made(target, content, f"package/{source}"))


def _made(target: str, content: tarfile.TarFile, source: str) -> bytes:
    file = content.extractfile(source)
    if file is None:
        raise SystemExit(f"{source} is no file")
    raw = file.read()
    for old, new in CHANGES.get(target, ()):
        if raw.count(old) != 1:
            raise SystemExit(f"{source} does not have {old.decode()!r} once")
        raw = raw.replace(old, new)
    return gzip.compress(raw, 9, mtime=0) if target.endswith(".gz") else raw


if __name__ == "__main__":
    main()

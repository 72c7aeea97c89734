# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a collection's tarball depend on its files only: ``python -m tests.tarball FILE SECONDS``.

ansible-galaxy lists the files as the file system does, and writes the time of the build into the archive.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path


def reproducible(tarball: Path, seconds: int) -> None:
    """Sort what is in it, and set every time to ``seconds`` since the epoch."""
    with tarfile.open(tarball) as archive:
        found = {member.name: (member, _content(archive, member)) for member in archive.getmembers()}
    files = json.loads(found["FILES.json"][1])
    files["files"].sort(key=lambda entry: entry["name"])
    listed = json.dumps(files, indent=True).encode()
    manifest = json.loads(found["MANIFEST.json"][1])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(listed).hexdigest()
    changed = {"FILES.json": listed, "MANIFEST.json": json.dumps(manifest, indent=True).encode()}
    with (
        tarball.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=seconds) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        # ansible-galaxy reads the manifest first.
        for name in sorted(found, key=lambda name: (name not in changed, name)):
            member, content = found[name]
            content = changed.get(name, content)
            member.size, member.mtime, member.pax_headers = len(content), seconds, {}
            archive.addfile(member, io.BytesIO(content))


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""


if __name__ == "__main__":
    path = Path(sys.argv[1])
    reproducible(path, int(sys.argv[2]))
    print(f"{path.name}: {path.stat().st_size} bytes, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}")

"""What the fake bucket holds, and the rules of Cloud Storage about changing it."""

import base64
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import google_crc32c

QUANTUM = 256 * 1024  # parts of a resumable upload but the last are multiples of this


class ApiError(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, message: str, *, reason: str = "invalid") -> None:
        super().__init__(message)
        self.status, self.message, self.reason = status, message, reason


@dataclass(frozen=True)
class Stored:
    """One generation of an object."""

    name: str
    data: bytes = field(repr=False)
    generation: int
    created: datetime
    properties: Mapping[str, Any]

    @cached_property
    def hashes(self) -> tuple[str, str]:
        """CRC32C and MD5; asked for with every part of a large object."""
        return crc32c_of(self.data), md5_of(self.data)

    def resource(self, bucket: str) -> dict[str, Any]:
        when = self.created.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {
            "kind": "storage#object",
            "id": f"{bucket}/{self.name}/{self.generation}",
            "name": self.name,
            "bucket": bucket,
            "generation": str(self.generation),
            "metageneration": "1",
            "size": str(len(self.data)),
            "crc32c": self.hashes[0],
            "md5Hash": self.hashes[1],
            "etag": f"etag-{self.generation}",
            "storageClass": "STANDARD",
            "timeCreated": when,
            "updated": when,
            **self.properties,
        }


@dataclass
class UploadSession:
    """An upload in parts that is under way."""

    resource: Mapping[str, Any]
    if_generation: int | None
    data: bytearray = field(default_factory=bytearray)
    done: Stored | None = None


def crc32c_of(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def md5_of(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


class Bucket:
    """The objects of one bucket; every method is one atomic step.

    Args:
        name: Of the bucket.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.denied: set[str] = set()
        self.objects: dict[str, Stored] = {}
        self.sessions: dict[str, UploadSession] = {}
        self._generation = 1_700_000_000_000_000
        self._lock = threading.RLock()

    def allow(self, permission: str) -> None:
        """Refuses what needs a permission that was taken away (`denied`)."""
        if permission in self.denied:
            raise ApiError(
                403,
                f"runner@project.iam.gserviceaccount.com does not have {permission} access to "
                f"the Google Cloud Storage object. Permission '{permission}' denied on "
                f"resource (or it may not exist).",
                reason="forbidden",
            )

    def get(
        self, name: str, *, generation: int | None = None, if_generation: int | None = None
    ) -> Stored:
        with self._lock:
            self.allow("storage.objects.get")
            found = self.objects.get(name)
            if found is None or generation not in (None, found.generation):
                # Whoever may not list may not learn what is not there either.
                self.allow("storage.objects.list")
                raise _no_object(self.name, name)
            self._check(name, if_generation)
            return found

    def insert(
        self, resource: Mapping[str, Any], data: bytes, *, if_generation: int | None
    ) -> Stored:
        name = resource.get("name", "")
        if not 1 <= len(name.encode()) <= 1024:
            raise ApiError(
                400, "Required: an object name of 1 to 1024 bytes", reason="required"
            )
        with self._lock:
            self.allow("storage.objects.create")
            if name in self.objects:
                self.allow("storage.objects.delete")
            self._check(name, if_generation)
            self._check_hashes(resource, data)
            self._generation += 1
            kept = ("contentType", "cacheControl", "contentEncoding", "metadata")
            stored = Stored(
                name,
                bytes(data),
                self._generation,
                datetime.now(UTC),
                {key: resource[key] for key in kept if key in resource},
            )
            self.objects[name] = stored
            return stored

    def delete(self, name: str, *, if_generation: int | None) -> None:
        with self._lock:
            self.allow("storage.objects.delete")
            if name not in self.objects:
                raise _no_object(self.name, name)
            self._check(name, if_generation)
            del self.objects[name]

    def list(
        self, prefix: str, *, token: str, limit: int
    ) -> tuple[list[Stored], str]:  # one page, and the token of the next one
        with self._lock:
            self.allow("storage.objects.list")
            after = base64.b64decode(token).decode() if token else ""
            names = sorted(
                name for name in self.objects if name.startswith(prefix) and name > after
            )
            page = [self.objects[name] for name in names[:limit]]
        more = len(names) > limit
        return page, base64.b64encode(page[-1].name.encode()).decode() if more else ""

    def start(self, resource: Mapping[str, Any], *, if_generation: int | None) -> str:
        with self._lock:
            self.allow("storage.objects.create")
            self._check(resource["name"], if_generation)
            upload_id = f"upload-{len(self.sessions) + 1}"
            self.sessions[upload_id] = UploadSession(resource, if_generation)
            return upload_id

    def session(self, upload_id: str) -> UploadSession:
        found = self.sessions.get(upload_id)
        if found is None:
            raise ApiError(404, "No such upload session.", reason="notFound")
        return found

    def append(
        self, upload_id: str, part: bytes, *, start: int, total: int | None
    ) -> Stored | None:
        """Takes a part that begins at byte `start`; the object once it is complete."""
        with self._lock:
            session = self.session(upload_id)
            if session.done is not None:
                return session.done
            have = len(session.data)
            if start > have:
                raise ApiError(503, f"Missing bytes {have} to {start}.", reason="backendError")
            session.data += part[have - start :]  # a part sent again is taken once
            if total is None or len(session.data) < total:
                if len(part) % QUANTUM:
                    raise ApiError(400, f"Parts must be multiples of {QUANTUM} bytes.")
                return None
            session.done = self.insert(
                session.resource, bytes(session.data), if_generation=session.if_generation
            )
            return session.done

    def _check(self, name: str, if_generation: int | None) -> None:
        found = self.objects.get(name)
        present = 0 if found is None else found.generation
        if if_generation is not None and present != if_generation:
            raise ApiError(
                412,
                "At least one of the pre-conditions you specified did not hold.",
                reason="conditionNotMet",
            )

    def _check_hashes(self, resource: Mapping[str, Any], data: bytes) -> None:
        for key, label, computed in (
            ("crc32c", "CRC32C", crc32c_of(data)),
            ("md5Hash", "MD5 hash", md5_of(data)),
        ):
            if resource.get(key, computed) != computed:
                raise ApiError(
                    400,
                    f'Provided {label} "{resource[key]}" doesn\'t match calculated {label} '
                    f'"{computed}".',
                )


def _no_object(bucket: str, name: str) -> ApiError:
    return ApiError(404, f"No such object: {bucket}/{name}", reason="notFound")

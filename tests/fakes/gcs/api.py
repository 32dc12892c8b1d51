"""The part of the JSON API that the client library and the program use.

Source: https://cloud.google.com/storage/docs/json_api/v1
"""

import json
from collections.abc import Callable

from tests.fakes.gcs.faults import Operation
from tests.fakes.gcs.objects import ApiError, Bucket, Stored
from tests.fakes.gcs.wire import (
    Answer,
    Request,
    byte_range,
    json_answer,
    multipart,
    part_of_upload,
)

Route = tuple[Operation, str, Callable[[], Answer]]


class Api:
    """Answers requests about one bucket; other buckets do not exist."""

    def __init__(self, bucket: Bucket, *, base_url: Callable[[], str]) -> None:
        self.bucket = bucket
        self._base_url = base_url

    def route(self, request: Request) -> Route:
        """Which operation a request is, what it is about, and how to carry it out.

        Raises:
            ApiError: There is no such thing.
        """
        segments = request.segments
        if segments[:1] in (("upload",), ("download",)):
            segments = segments[1:]
        if segments[:3] != ("storage", "v1", "b") or len(segments) < 4:
            raise ApiError(404, "Not Found", reason="notFound")
        if segments[3] != self.bucket.name:
            raise ApiError(404, "The specified bucket does not exist.", reason="notFound")
        if len(segments) == 4 and request.method == "GET":
            return "bucket", "", self._bucket
        if segments[4:] == ("o",):
            if request.segments[0] == "upload":
                return self._upload_route(request)
            return "list", request.query.get("prefix", ""), lambda: self._list(request)
        if len(segments) == 6 and segments[4] == "o":
            return self._object_route(request, segments[5])
        raise ApiError(404, "Not Found", reason="notFound")

    def _object_route(self, request: Request, name: str) -> Route:
        if request.method == "DELETE":
            return "delete", name, lambda: self._delete(request, name)
        if request.query.get("alt") == "media":
            return "media", name, lambda: self._media(request, name)
        return "get", name, lambda: self._get(request, name)

    def _upload_route(self, request: Request) -> Route:
        upload_id = request.query.get("upload_id")
        if upload_id is not None:
            session = self.bucket.sessions.get(upload_id)
            name = session.resource["name"] if session else ""
            return "part", name, lambda: self._part(request, upload_id)
        if request.query.get("uploadType") == "resumable":
            resource = {"name": request.query.get("name")} | json.loads(request.body or b"{}")
            return "start", resource["name"], lambda: self._start(request, resource)
        resource, content = multipart(request)
        return "insert", resource["name"], lambda: self._insert(request, resource, content)

    def _bucket(self) -> Answer:
        name = self.bucket.name
        return json_answer({"kind": "storage#bucket", "id": name, "name": name})

    def _list(self, request: Request) -> Answer:
        limit = min(request.number("maxResults") or 1000, 1000)
        page, token = self.bucket.list(
            request.query.get("prefix", ""),
            token=request.query.get("pageToken", ""),
            limit=limit,
        )
        items = [one.resource(self.bucket.name) for one in page]
        document = {"kind": "storage#objects", "items": items}
        return json_answer(document | ({"nextPageToken": token} if token else {}))

    def _get(self, request: Request, name: str) -> Answer:
        return json_answer(self._found(request, name).resource(self.bucket.name))

    def _media(self, request: Request, name: str) -> Answer:
        found = self._found(request, name)
        resource = found.resource(self.bucket.name)
        headers = {
            "Content-Type": resource.get("contentType", "application/octet-stream"),
            "X-Goog-Generation": resource["generation"],
            "X-Goog-Metageneration": resource["metageneration"],
            "X-Goog-Stored-Content-Length": resource["size"],
            "X-Goog-Hash": f"crc32c={resource['crc32c']},md5={resource['md5Hash']}",
            "Cache-Control": resource.get("cacheControl", "public, max-age=3600"),
        }
        wanted = byte_range(request, len(found.data))
        if wanted is None:
            return Answer(200, found.data, headers)
        first, end = wanted
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(found.data)}"
        return Answer(206, found.data[first:end], headers)

    def _delete(self, request: Request, name: str) -> Answer:
        self.bucket.delete(name, if_generation=request.number("ifGenerationMatch"))
        return Answer(204)

    def _insert(self, request: Request, resource: dict[str, str], content: bytes) -> Answer:
        condition = request.number("ifGenerationMatch")
        stored = self.bucket.insert(resource, content, if_generation=condition)
        return json_answer(stored.resource(self.bucket.name))

    def _start(self, request: Request, resource: dict[str, str]) -> Answer:
        condition = request.number("ifGenerationMatch")
        upload_id = self.bucket.start(resource, if_generation=condition)
        path = f"/upload/storage/v1/b/{self.bucket.name}/o"
        where = f"{self._base_url()}{path}?uploadType=resumable&upload_id={upload_id}"
        return Answer(200, headers={"Location": where, "X-GUploader-UploadID": upload_id})

    def _part(self, request: Request, upload_id: str) -> Answer:
        start, total = part_of_upload(request)
        done = self.bucket.append(upload_id, request.body, start=start, total=total)
        if done is not None:
            return json_answer(done.resource(self.bucket.name))
        have = len(self.bucket.session(upload_id).data)
        return Answer(308, headers={"Range": f"bytes=0-{have - 1}"} if have else {})

    def _found(self, request: Request, name: str) -> Stored:
        return self.bucket.get(
            name,
            generation=request.number("generation"),
            if_generation=request.number("ifGenerationMatch"),
        )

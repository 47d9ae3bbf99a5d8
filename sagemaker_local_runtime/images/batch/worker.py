"""Run one container's part of a batch transform job; the argument is the path of its plan."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from sagemaker_local_runtime.images import Image
from sagemaker_local_runtime.images.batch.json_path import JsonPath
from sagemaker_local_runtime.images.batch.records import finish, split_response
from sagemaker_local_runtime.images.batch.requests import Request, Splitter, read_frames, write_frame
from sagemaker_local_runtime.images.exceptions import ImageError
from sagemaker_local_runtime.images.handler import Handler, Response
from sagemaker_local_runtime.images.server import start_server

_DEFAULT_TYPE = "text/csv"


class Worker:
    """One container's part: read the inputs or the previous answers, write the outputs or the next inputs.

    :param plan: see ``sagemaker_local_runtime.jobs.transform``.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._content_type = plan["content_type"] or _DEFAULT_TYPE
        self._splitter = Splitter(
            by_line=plan["split"] == "Line",
            many=plan["strategy"] == "MultiRecord",
            limit=plan["max_payload_bytes"],
            input_filter=JsonPath(plan["input_filter"]),
            content_type=self._content_type,
            gzipped=plan["gzipped"],
        )
        self._output_filter = JsonPath(plan["output_filter"])
        self.file = ""

    def run(self, handler: Handler) -> None:
        """Answer every request of every input."""
        with ExitStack() as stack:
            frames_in = read_frames(Path(self._plan["frames_in"])) if self._plan["frames_in"] else None
            frames_out: IO[bytes] | None = None
            if self._plan["frames_out"]:
                frames_out = stack.enter_context(Path(self._plan["frames_out"]).open("wb"))
            for file in self._plan["files"]:
                self.file = file["name"]
                answers = self._answers(handler, Path(file["input"]), frames_in)
                if frames_out is None:
                    self._write(answers, Path(file["output"]))
                else:
                    for _, answer in answers:
                        write_frame(frames_out, answer.body, answer.content_type)

    def _answers(
        self, handler: Handler, path: Path, frames: Iterator[tuple[bytes, str]] | None
    ) -> Iterator[tuple[Request, Response]]:
        accept = self._plan["accept"] if not self._plan["frames_out"] else ""
        accept = accept or os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", _DEFAULT_TYPE)
        for request in self._splitter.requests(path):
            payload, content_type = next(frames) if frames else (request.payload, self._content_type)
            yield request, handler(payload, content_type, accept)

    def _write(self, answers: Iterator[tuple[Request, Response]], path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        by_record = self._plan["join"] or not self._output_filter.is_identity
        with path.open("wb") as file:
            for request, answer in answers:
                if by_record:
                    file.write(b"".join(line + b"\n" for line in self._lines(request, answer)))
                elif self._plan["assemble"] == "Line":
                    file.write(answer.body.removesuffix(b"\n") + b"\n")
                else:
                    file.write(answer.body)

    def _lines(self, request: Request, answer: Response) -> Iterator[bytes]:
        accept = self._plan["accept"] or answer.content_type
        outputs = split_response(answer.body, answer.content_type, len(request.records))
        for record, output in zip(request.records, outputs, strict=True):
            yield finish(
                record,
                output,
                join=self._plan["join"],
                path=self._output_filter,
                content_type=self._content_type,
                accept=accept,
            )


def main(plan: dict[str, Any]) -> int:
    """Load the container's program, run its part and return the exit code."""
    file = ""
    try:
        worker = Worker(plan)
        try:
            handler = load_handler(plan)
            worker.run(handler)
        finally:
            file = worker.file
    except ImageError as error:
        return _fail(plan, file, error.status, str(error))
    except Exception as error:
        traceback.print_exc()
        return _fail(plan, file, 500, f"{type(error).__name__}: {error}")
    return 0


def load_handler(plan: dict[str, Any]) -> Handler:
    """Return the handler of the container's image."""
    if plan["serve"]:
        return start_server(plan["serve"])
    module = importlib.import_module(plan["module"])
    handler: Handler = module.load(Path(plan["root"]), Image(plan["repository"], plan["tag"]))
    return handler


def _fail(plan: dict[str, Any], file: str, status: int, message: str) -> int:
    print(message, flush=True)
    document = {"file": file, "status": status, "message": message}
    Path(plan["error_file"]).write_text(json.dumps(document))
    return 1


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text())))

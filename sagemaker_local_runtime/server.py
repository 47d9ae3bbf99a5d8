"""The HTTP server of a local runtime."""

from __future__ import annotations

import logging
import socket
import threading
from types import TracebackType

from werkzeug.serving import BaseWSGIServer, make_server

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.api import load_actions
from sagemaker_local_runtime.data_lock import DataLock
from sagemaker_local_runtime.endpoint.app import Application
from sagemaker_local_runtime.endpoint.browsers import is_loopback
from sagemaker_local_runtime.endpoint.connections import RequestHandler, close_connections
from sagemaker_local_runtime.endpoint.static import StaticServices
from sagemaker_local_runtime.exceptions import SettingsError
from sagemaker_local_runtime.runtime import Runtime
from sagemaker_local_runtime.settings import Settings

logger = logging.getLogger(__name__)

_BACKLOG = 512
_STOP_SECONDS = 10.0
# Held by the server that runs: moto's state is the process's, and a second server would empty the first's.
_only_one = threading.Lock()


class LocalServer:
    """A local runtime in this process: an HTTP server in a thread, and the services behind it.

    It is also a context manager. A process can run one server at a time.

    :param settings: how to start it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.runtime: Runtime
        self.endpoint_url: str
        self._application: Application
        self._static: StaticServices
        self._lock: DataLock | None = None
        self._is_the_one = False
        self._http: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> LocalServer:
        """Start listening, restore what the data directory holds, and answer requests.

        :raises SettingsError: the port or the data directory is in use or cannot be used, or another server
            runs in this process.
        """
        if not is_loopback(self.settings.host):
            logger.warning(
                "Listening on %s: anyone who can reach this port can run programs on this machine. "
                "The local runtime does not check credentials; keep it on 127.0.0.1.",
                self.settings.host,
            )
        load_actions()
        listener = _listen(self.settings)
        try:
            self._lock = DataLock(self.settings.data_dir)
            self._require_to_be_the_one()
            host, port = self.settings.host, listener.getsockname()[1]
            self.endpoint_url = f"http://{f'[{host}]' if ':' in host else _reachable(host)}:{port}"
            account = Account(self.settings, self.endpoint_url)
            # Before the services: it resets moto, into which they put their own classes.
            self._static = StaticServices(self.settings, account.store)
            self.runtime = Runtime(account)
            self._application = Application(self.runtime, self._static)
            self._http = make_server(
                host,
                port,
                self._application,
                threaded=True,
                request_handler=RequestHandler,
                fd=listener.fileno(),
            )
        except BaseException:
            self._release()
            raise
        finally:
            listener.close()
        self._serve(self._http)
        return self

    def _serve(self, http: BaseWSGIServer) -> None:
        self._thread = threading.Thread(
            target=http.serve_forever, kwargs={"poll_interval": 0.05}, name="http", daemon=True
        )
        self._thread.start()
        try:
            self.runtime.recover()
        except BaseException:
            self.stop()
            raise
        self._application.ready.set()
        if self._lock is not None:
            self._lock.announce(self.endpoint_url)

    def stop(self) -> None:
        """Stop whatever is running and stop listening. Another server can then use the data directory."""
        self.runtime.shutdown()
        if self._http is not None and self._thread is not None:
            self._http.shutdown()
            self._thread.join(_STOP_SECONDS)
            close_connections(self._http)
            self._http = None
        self._static.close()
        self.runtime.account.close()
        self._release()

    def _require_to_be_the_one(self) -> None:
        self._is_the_one = _only_one.acquire(blocking=False)
        if not self._is_the_one:
            raise SettingsError(
                "A local runtime runs in this process already. Stop it, or run one of the two in a process "
                "of its own, such as the fixture local_runtime_process."
            )

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if self._is_the_one:
            self._is_the_one = False
            _only_one.release()

    def __enter__(self) -> LocalServer:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"Cannot listen on {settings.host} port {settings.port}: {error}. "
            "Stop the process that uses it, or choose another port (0 means any free port)."
        ) from error


def _reachable(host: str) -> str:
    """Return the host at which this machine reaches a server that may listen on every address."""
    return "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - compared, not bound

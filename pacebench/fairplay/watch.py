"""Hears what a submission's code does in its process: Python's audit events, told by its frames.

An event is the submission's if a frame of its code is on the stack and no frame of the benchmark
lies nearer: what the benchmark does for it (the next batch, a forward pass) is the benchmark's.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import pacebench
from pacebench.fairplay.files import RUN_FILES
from pacebench.fairplay.findings import Found, Level, Rule
from pacebench.fairplay.writes import CACHE_WORDS

CODE_SUFFIXES = (".py", ".pyc", ".pyi", ".so", ".pyd", ".pth")
_PATH_EVENTS = {
    "open": "opens",
    "os.listdir": "lists",
    "os.scandir": "lists",
    "os.remove": "deletes",
    "os.rename": "renames",
    "os.mkdir": "makes",
}
_NETWORK_EVENTS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
_PROCESS_EVENTS = {
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "pty.spawn",
}
_INTERNAL_EVENTS = {
    "gc.get_objects",
    "gc.get_referrers",
    "gc.get_referents",
    "sys._getframe",
    "sys._current_frames",
    "sys.setprofile",
    "sys.settrace",
    "sys.addaudithook",
}
_CODE_EVENTS = {"exec", "compile"}
_VARIABLE_EVENTS = {"os.putenv", "os.unsetenv"}
EVENTS = {
    *(*_PATH_EVENTS, "ctypes.dlopen"),
    *(_NETWORK_EVENTS | _PROCESS_EVENTS),
    *(_INTERNAL_EVENTS | _CODE_EVENTS | _VARIABLE_EVENTS),
}


class Origin(NamedTuple):
    """Where in the submission's code an event comes from."""

    place: str
    is_direct: bool
    """Only Python's own library lies between."""
    is_immediate: bool
    """Nothing lies between."""
    is_import: bool
    """An import lies between: a module that is found and loaded."""


class Watch:
    """The ears of one trial; it hears while `listening`, and cannot be taken off again."""

    def __init__(self, folder: Path, source: Path, data_folder: Path | None) -> None:
        self.found: list[Found] = []
        self.moment = "set-up"
        """What the trial is doing, in words; the place of what has no line."""
        self.data_paths: set[str] = set()
        """The files that the benchmark itself opened for the workload's data."""
        self._folder = os.path.realpath(folder)
        self._source = os.path.realpath(source)
        self._own = self._source if source.is_dir() else str(Path(self._source).parent)
        self._data_folder = os.path.realpath(data_folder) if data_folder else None
        self._kinds: dict[str, str] = {}
        self._threads: list[tuple[threading.Thread, str]] = []
        self._is_listening = False
        self._is_reading_data = False
        self._busy = threading.local()

    def install(self) -> None:
        """Begin; for good, as audit hooks are."""
        sys.addaudithook(self._hear)
        begin = threading.Thread.start

        def start(thread: threading.Thread) -> None:
            origin = self._origin(sys._getframe(1)) if self._is_listening else None
            if origin is not None and origin.is_direct:
                self._threads.append((thread, origin.place))
            begin(thread)

        # Python 3.11 has no audit event for it.
        threading.Thread.start = start  # type: ignore[method-assign,assignment]

    @contextmanager
    def listening(self, moment: str) -> Iterator[None]:
        """Listen while the submission's code may run."""
        self.moment = moment
        self._is_listening = True
        try:
            yield
        finally:
            self._is_listening = False

    @contextmanager
    def reading_data(self) -> Iterator[None]:
        """Note the files that are opened as the workload's data."""
        self._is_reading_data = True
        try:
            yield
        finally:
            self._is_reading_data = False

    def tell(self, rule: Rule, reason: str, place: str = "", level: Level = Level.DENY) -> None:
        """Add a finding, at the present moment if it has no line; once each."""
        text = " ".join(reason.split())
        if not any((f.rule, f.reason) == (rule, text) for f in self.found):
            place = place or self.moment
            self.found.append(Found(rule=rule, place=place, level=level, reason=text))

    def look_for_threads(self) -> None:
        """Find threads of the submission that live now."""
        main = threading.main_thread().ident
        self._busy.is_set = True
        frames = sys._current_frames()
        self._busy.is_set = False
        places = {ident: self._line(frame) for ident, frame in frames.items() if ident != main}
        running = [place for place in places.values() if place]
        alive = [place for thread, place in self._threads if thread.is_alive()]
        for place in running or alive:
            self.tell(
                Rule.THREAD,
                "a thread of it lives when the evaluation begins; end it in prepare_eval",
                place,
            )

    @contextmanager
    def saving(self, model_calls: Collection[CodeType]) -> Iterator[None]:
        """Find calls of the model while a checkpoint is written."""

        def note(frame: FrameType, event: str, _argument: Any) -> None:
            if event == "call" and frame.f_code in model_calls and (place := self._line(frame)):
                text = "the model is called while a checkpoint is written, uncharged"
                self.tell(Rule.DEFERRED_WORK, text, place)

        sys.setprofile(note)
        try:
            yield
        finally:
            sys.setprofile(None)

    @contextmanager
    def evaluating(self, moment: str) -> Iterator[None]:
        """Find functions of the submission that run in this thread while the clock stands still."""
        seen: set[CodeType] = set()

        def note(frame: FrameType, event: str, _argument: Any) -> None:
            code = frame.f_code
            if event == "call" and code not in seen:
                seen.add(code)
                if self._kind(code.co_filename) == "source":
                    name = code.co_name
                    self.tell(
                        Rule.DEFERRED_WORK,
                        f"'{name}' runs during an evaluation, uncharged; take hooks off in "
                        "prepare_eval",
                        self._place(code.co_filename, code.co_firstlineno),
                    )

        self.moment = moment
        sys.setprofile(note)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in EVENTS or getattr(self._busy, "is_set", False):
            return
        if not (self._is_listening or self._is_reading_data):
            return
        self._busy.is_set = True
        try:
            if self._is_reading_data:
                if event == "open" and isinstance(arguments[0], str | bytes):
                    self._note_data(os.fsdecode(arguments[0]))
            elif (origin := self._origin(sys._getframe(1))) is not None:
                self._judge(event, arguments, origin)
        finally:
            self._busy.is_set = False

    def _judge(self, event: str, arguments: tuple[Any, ...], origin: Origin) -> None:
        place = origin.place
        if event in _PATH_EVENTS:
            if isinstance(arguments[0], str | bytes):
                self._judge_path(_PATH_EVENTS[event], os.fsdecode(arguments[0]), origin)
        elif event in _NETWORK_EVENTS:
            if not isinstance(arguments[-1], str):  # the address of a local pipe is a text
                self.tell(Rule.NETWORK, f"{event}: a trial has no network", place)
        elif event in _PROCESS_EVENTS and origin.is_direct:
            self.tell(Rule.PROCESS, f"{event}: it works where the clock does not look", place)
        elif event in _INTERNAL_EVENTS and origin.is_immediate:
            self.tell(Rule.INTERNALS, f"{event}: it looks for what was not handed to it", place)
        elif event == "ctypes.dlopen" and origin.is_direct:
            self.tell(Rule.INTERNALS, f"{event}: it reaches this process's memory", place)
        elif event in _CODE_EVENTS and origin.is_immediate:
            self.tell(Rule.DYNAMIC_CODE, f"{event}: nobody can read such code before", place)
        elif event in _VARIABLE_EVENTS and origin.is_direct:
            self._judge_variable(os.fsdecode(arguments[0]), place)

    def _judge_variable(self, name: str, place: str) -> None:
        if any(word in name.lower() for word in CACHE_WORDS):
            self.tell(Rule.COMPILE_CACHE, f"sets {name}: every trial compiles for itself", place)
        else:
            self.tell(Rule.ENVIRONMENT, f"sets {name}", place, Level.WARN)

    def _judge_path(self, verb: str, name: str, origin: Origin) -> None:
        path = os.path.realpath(name)
        if _is_below(path, self._own):
            return
        if _is_below(path, self._folder):
            reason = f"{verb} {Path(path).name} of the trial's folder"
            self.tell(Rule.RUN_FOLDER, reason, origin.place)
        elif path in self.data_paths or _is_below(path, self._data_folder):
            reason = f"{verb} {Path(path).name}, data that is evaluated"
            self.tell(Rule.EVALUATION_DATA, reason, origin.place)
        elif Path(path).name in RUN_FILES:
            self.tell(Rule.RUN_FOLDER, f"{verb} {path}, which is of a run", origin.place)
        elif not (_is_library(path) or origin.is_import or _is_system(path, origin)):
            reason = f"{verb} {path}, which is not of its own folder"
            self.tell(Rule.FILES, reason, origin.place, Level.WARN)

    def _note_data(self, name: str) -> None:
        if not name.endswith(CODE_SUFFIXES):
            self.data_paths.add(os.path.realpath(name))

    def _origin(self, frame: FrameType | None) -> Origin | None:
        """Find the nearest frame of the submission; None if one of the benchmark is nearer."""
        is_direct, is_immediate, is_import = True, True, False
        one = frame
        while one is not None:
            kind = self._kind(one.f_code.co_filename)
            if kind == "source":
                place = self._place(one.f_code.co_filename, one.f_lineno)
                return Origin(place, is_direct, is_immediate, is_import)
            if kind == "benchmark":
                return None
            is_immediate = False
            is_import = is_import or one.f_code.co_filename.startswith("<frozen importlib")
            is_direct = is_direct and kind == "standard"
            one = one.f_back
        return None

    def _line(self, frame: FrameType | None) -> str:
        """Give the place of the nearest frame of the submission, "" if there is none."""
        while frame is not None:
            if self._kind(frame.f_code.co_filename) == "source":
                return self._place(frame.f_code.co_filename, frame.f_lineno)
            frame = frame.f_back
        return ""

    def _kind(self, filename: str) -> str:
        if filename not in self._kinds:
            self._kinds[filename] = self._kind_of(filename)
        return self._kinds[filename]

    def _kind_of(self, filename: str) -> str:
        if filename.startswith("<frozen"):
            return "standard"
        path = os.path.realpath(filename)
        if _is_below(path, self._source):
            return "source"
        if _is_below(path, _BENCHMARK):
            return "benchmark"
        is_standard = _is_below(path, _STANDARD) and "site-packages" not in path
        return "standard" if is_standard else "other"

    def _place(self, filename: str, line: int) -> str:
        return f"{os.path.relpath(os.path.realpath(filename), self._own)}:{line}"


def _is_below(path: str, folder: str | None) -> bool:
    return folder is not None and (path == folder or path.startswith(folder + os.sep))


def _is_library(path: str) -> bool:
    return path.endswith(CODE_SUFFIXES) or any(_is_below(path, p) for p in _LIBRARIES)


def _is_system(path: str, origin: Origin) -> bool:
    """Whether a library looks, for itself, at the machine or into the folder for scratch files."""
    if path == os.devnull:
        return True
    return not origin.is_direct and any(_is_below(path, p) for p in _SYSTEM)


def _real(paths: Mapping[str, str]) -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib", "data")
    return tuple({os.path.realpath(paths[name]) for name in names})


_BENCHMARK = os.path.realpath(Path(pacebench.__file__).parent)
_STANDARD = os.path.realpath(sysconfig.get_paths()["stdlib"])
_LIBRARIES = (*_real(sysconfig.get_paths()), os.path.realpath(sys.base_prefix))
_SYSTEM = (
    *("/proc", "/sys", "/dev", "/usr", "/lib", "/lib64", "/etc", "/opt"),
    os.path.realpath(tempfile.gettempdir()),
)

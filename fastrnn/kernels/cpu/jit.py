"""Numba decorators for kernels; `disk_cache` stores the compiled code on disk."""

import contextlib
import os
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba
import numba.extending
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock

from .disk_cache import KernelCache, kernel_folder

# reassoc..afn, but not nnan or ninf: these would fold away the checks for NaN and infinity.
FASTMATH = {"reassoc", "contract", "arcp", "nsz", "afn"}

# error_model numpy: a division by zero gives infinity and costs no test. no_cfunc_wrapper: nothing calls
# kernels from C, and the wrapper would be compiled too.
_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH, "no_cfunc_wrapper": True}
# Only compiled code calls a device function, and it counts no references to arrays, which its
# caller holds: two atomic instructions for each array of each call took a third of the sampling
# time (measured).
_DEVICE_OPTIONS = {**_OPTIONS, "no_cpython_wrapper": True, "_nrt": False}
_FOLDER = kernel_folder()


# Without this, the child of a process that is compiling would wait for the compiler lock for ever
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


class _KernelLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Machine code of one kernel, with device functions of its own.

    Numba leaves the device functions that it links into a kernel visible to other kernels. Where
    a process has two copies of one, calls go to the first, and copies that were optimised in
    different callers may round differently: a process that compiled a kernel computed other bits
    than one that loaded it from the disk.
    """

    def _optimize_final_module(self) -> None:
        # linkonce_odr is the linkage that Numba gives to linked device functions
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.linkonce_odr:
                function.linkage = "internal"
        super()._optimize_final_module()


class _KernelCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, into a `_KernelLibrary`."""

    def compile_extra(self, func: Any) -> Any:
        self.state.library = _KernelLibrary(self.state.targetctx.codegen(), func.__qualname__)
        self.state.library.enable_object_caching()
        return super().compile_extra(func)


class _NoEnvironment:
    """Numba's code generator, except that it gives no function a Python environment."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, name: str, env: Any) -> None:
        """Do nothing: the function has no address. Only code that works with Python objects reads its environment."""


class _DeviceLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code of a device function, which waits to be linked into kernels.

    Numba would optimise it and translate it to machine code by itself too, though nothing calls it there. That took a
    quarter of the compile time of a training step (measured).
    """

    @property
    def codegen(self) -> Any:
        return _NoEnvironment(self._codegen)

    def get_pointer_to_function(self, name: str) -> int:
        return 0

    def _optimize_final_module(self) -> None:
        """Do nothing."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class _DeviceCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, into a `_DeviceLibrary`."""

    def compile_extra(self, func: Any) -> Any:
        self.state.library = _DeviceLibrary(self.state.targetctx.codegen(), func.__qualname__)
        return super().compile_extra(func)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on first call for the types of the arguments, without the GIL, and cache the code on
    disk.

    A kernel may allocate arrays and so counts references. Move loops over rows and slices into a
    `device_function`.
    """
    compiled = numba.njit(pipeline_class=_KernelCompiler, **_OPTIONS)(function)
    if compiled is not function:
        with contextlib.suppress(OSError):  # defined at a prompt: no source file to detect edits by
            compiled._cache = KernelCache(function, _FOLDER)
    return compiled


def kernel_body(function: Callable[..., Any]) -> Any:
    """Compile a function for a launcher in compiled code (`fastrnn.kernels.cpu.team`); it may allocate arrays."""
    options = {**_OPTIONS, "no_cpython_wrapper": True}
    return numba.njit(pipeline_class=_DeviceCompiler, **options)(function)


def device_function(function: Callable[..., Any]) -> Any:
    """Compile a function that is called by kernels only.

    A call from Python crashes: it has no Python wrapper, which would take a tenth of the compile
    time. It must neither allocate nor return an array: see `allocating_function`, and
    `inline_function` for one that returns a view.
    """
    return numba.njit(pipeline_class=_DeviceCompiler, **_DEVICE_OPTIONS)(function)


def allocating_function(function: Callable[..., Any]) -> Any:
    """Compile a function that returns a new array, for kernels only: a `device_function` would leak
    the array.
    """
    return numba.njit(pipeline_class=_DeviceCompiler, **{**_DEVICE_OPTIONS, "_nrt": True})(function)


def inline_function(function: Callable[..., Any]) -> Any:
    """Inline a function into its callers' source: scalar mathematics to be vectorised there, or a
    view.
    """
    return numba.njit(pipeline_class=_DeviceCompiler, inline="always", **_DEVICE_OPTIONS)(function)


def specialize(function: Callable[..., Any]) -> Any:
    """Decorate a function that returns the implementation of ``function`` for the Numba types of
    its arguments.

    Inside kernels a call of ``function`` becomes a call of this implementation, as a
    `device_function`.
    """
    return numba.extending.overload(function, jit_options={"pipeline_class": _DeviceCompiler, **_DEVICE_OPTIONS})

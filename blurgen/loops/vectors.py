"""Sixteen floats at a time: the few operations that LLVM does not find in a loop by itself.

The intrinsics are written in LLVM's portable vector types, so that each processor gets the widest
instructions that it has. A multiply-add is always fused, hence rounded once and the same everywhere.
With ``NUMBA_DISABLE_JIT=1`` the plain functions at the end take their place.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 16
GROUP = 8  # vectors whose sums are kept in registers at the same time

_FLOAT = ir.FloatType()
_FLOATS = ir.VectorType(_FLOAT, LANES)
_BYTES = ir.VectorType(ir.IntType(8), LANES)
_INTS = ir.VectorType(ir.IntType(32), LANES)
_INT64 = ir.IntType(64)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _load(builder: Any, pointer: Any, vector: Any, align: int) -> Any:
    loaded = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    loaded.align = align
    return loaded


def _store(builder: Any, value: Any, pointer: Any, align: int) -> None:
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer())).align = align


def _spread(builder: Any, scalar: Any) -> Any:
    undefined = ir.Constant(_FLOATS, ir.Undefined)
    vector = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(vector, undefined, ir.Constant(_INTS, [0] * LANES))


@intrinsic
def _weighted_sums(
    _typing: Any,
    buffer: Any,
    starts: Any,
    first: Any,
    offsets: Any,
    weights: Any,
    count: Any,
    add: Any,
    low: Any,
    high: Any,
    out: Any,
    out_starts: Any,
) -> Any:
    signature = types.void(buffer, starts, first, offsets, weights, count, add, low, high, out, out_starts)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        buffer_t, starts_t, _, offsets_t, weights_t, _, _, _, _, out_t, out_starts_t = signature.args
        buffer, starts, first, offsets, weights, count, add, low, high, out, out_starts = arguments
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_FLOATS, [_FLOATS] * 3), f"llvm.fma.v{LANES}f32"
        )

        def entry(array_type: Any, array: Any, k: int) -> Any:
            index = builder.add(first, ir.Constant(_INT64, k))
            return builder.load(_pointer(context, builder, array_type, array, index))

        bases = [
            _pointer(context, builder, buffer_t, buffer, entry(starts_t, starts, k)) for k in range(GROUP)
        ]
        initial = _spread(builder, add)
        before = builder.block
        loop = builder.append_basic_block("taps")
        after = builder.append_basic_block("taps.end")
        builder.branch(loop)

        builder.position_at_end(loop)
        tap = builder.phi(_INT64)
        tap.add_incoming(ir.Constant(_INT64, 0), before)
        sums = [builder.phi(_FLOATS) for _ in range(GROUP)]
        offset = builder.load(_pointer(context, builder, offsets_t, offsets, tap))
        weight = _spread(builder, builder.load(_pointer(context, builder, weights_t, weights, tap)))
        results = []
        for base, total in zip(bases, sums, strict=True):
            pixels = _load(builder, builder.gep(base, [offset]), _FLOATS, 4)
            results.append(builder.call(fma, [weight, pixels, total]))
        following = builder.add(tap, ir.Constant(_INT64, 1))
        tap.add_incoming(following, loop)
        for total, result in zip(sums, results, strict=True):
            total.add_incoming(initial, before)
            total.add_incoming(result, loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, after)

        builder.position_at_end(after)
        lowest, highest = _spread(builder, low), _spread(builder, high)
        for k, result in enumerate(results):
            value = builder.select(builder.fcmp_ordered("<", result, lowest), lowest, result)
            value = builder.select(builder.fcmp_ordered(">", value, highest), highest, value)
            target = _pointer(context, builder, out_t, out, entry(out_starts_t, out_starts, k))
            if out_t.dtype == types.uint8:
                _store(builder, builder.trunc(builder.fptosi(value, _INTS), _BYTES), target, 1)
            else:
                _store(builder, value, target, 4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _to_floats(_typing: Any, source: Any, at: Any, target: Any, to: Any) -> Any:
    signature = types.void(source, at, target, to)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source_t, _, target_t, _ = signature.args
        source, at, target, to = arguments
        pointer = _pointer(context, builder, source_t, source, at)
        if source_t.dtype == types.uint8:
            values = builder.uitofp(_load(builder, pointer, _BYTES, 1), _FLOATS)
        else:
            values = _load(builder, pointer, _FLOATS, 4)
        _store(builder, values, _pointer(context, builder, target_t, target, to), 4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _repeat(_typing: Any, value: Any, target: Any, to: Any) -> Any:
    signature = types.void(value, target, to)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, target, to = arguments
        _store(builder, _spread(builder, value), _pointer(context, builder, signature.args[1], target, to), 4)
        return context.get_dummy_value()

    return signature, generate


def _plain_weighted_sums(
    buffer: Any,
    starts: Any,
    first: Any,
    offsets: Any,
    weights: Any,
    count: Any,
    add: Any,
    low: Any,
    high: Any,
    out: Any,
    out_starts: Any,
) -> None:
    """Write GROUP vectors of ``clip(add + Σ weights[t] · buffer[start + offsets[t]], low, high)``."""
    for k in range(first, first + GROUP):
        total = np.full(LANES, add, np.float32)
        for t in range(count):
            at = starts[k] + offsets[t]
            product = np.float64(weights[t]) * buffer[at : at + LANES].astype(np.float64)
            total = (total + product).astype(np.float32)
        out[out_starts[k] : out_starts[k] + LANES] = np.clip(total, low, high).astype(out.dtype)


def _plain_to_floats(source: Any, at: Any, target: Any, to: Any) -> None:
    """Copy LANES pixels, bytes or floats, as floats."""
    target[to : to + LANES] = source[at : at + LANES]


def _plain_repeat(value: Any, target: Any, to: Any) -> None:
    """Write LANES times the same float."""
    target[to : to + LANES] = value


if numba.config.DISABLE_JIT:
    weighted_sums, to_floats, repeat = _plain_weighted_sums, _plain_to_floats, _plain_repeat
else:
    weighted_sums, to_floats, repeat = _weighted_sums, _to_floats, _repeat

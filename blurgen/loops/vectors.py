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

from blurgen.loops.jit import in_llvm

LANES = 16
GROUP = 8  # vectors whose sums are kept in registers at the same time
DIGIT_BITS = 14  # of each of the two digits of a weight, which has 28 bits after the point

_FLOAT = ir.FloatType()
_FLOATS = ir.VectorType(_FLOAT, LANES)
_BYTES = ir.VectorType(ir.IntType(8), LANES)
_INTS = ir.VectorType(ir.IntType(32), LANES)
_INT64 = ir.IntType(64)
_VECTORS = {types.uint8: _BYTES, types.float32: _FLOATS, types.int32: _INTS}


def pointer_to(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Where ``array[index]`` lies."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _load(builder: Any, pointer: Any, vector: Any, align: int) -> Any:
    loaded = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    loaded.align = align
    return loaded


def store(builder: Any, value: Any, pointer: Any, align: int) -> None:
    """Store a vector."""
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer())).align = align


def load_floats(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """LANES floats from ``array[index]`` on."""
    return _load(builder, pointer_to(context, builder, array_type, array, index), _FLOATS, 4)


def load_as_floats(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """LANES floats, or bytes as floats, from ``array[index]`` on."""
    if array_type.dtype != types.uint8:
        return load_floats(context, builder, array_type, array, index)
    pointer = pointer_to(context, builder, array_type, array, index)
    return builder.uitofp(_load(builder, pointer, _BYTES, 1), _FLOATS)


def spread(builder: Any, scalar: Any, vector: Any) -> Any:
    """The scalar in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(_INTS, [0] * LANES))


@in_llvm
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
    out_start: Any,
    out_starts: Any,
) -> Any:
    signature = types.void(
        buffer, starts, first, offsets, weights, count, add, low, high, out, out_start, out_starts
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        buffer_t, starts_t, _, offsets_t, weights_t, _, _, _, _, out_t, _, out_starts_t = signature.args
        buffer, starts, first, offsets, weights, count, add, low, high, out, out_start, out_starts = arguments
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_FLOATS, [_FLOATS] * 3), f"llvm.fma.v{LANES}f32"
        )

        def entry(array_type: Any, array: Any, k: int) -> Any:
            index = builder.add(first, ir.Constant(_INT64, k))
            return builder.load(pointer_to(context, builder, array_type, array, index))

        bases = [
            pointer_to(context, builder, buffer_t, buffer, entry(starts_t, starts, k)) for k in range(GROUP)
        ]
        initial = spread(builder, add, _FLOATS)
        before = builder.block
        loop = builder.append_basic_block("taps")
        after = builder.append_basic_block("taps.end")
        builder.branch(loop)

        builder.position_at_end(loop)
        tap = builder.phi(_INT64)
        tap.add_incoming(ir.Constant(_INT64, 0), before)
        sums = [builder.phi(_FLOATS) for _ in range(GROUP)]
        offset = builder.load(pointer_to(context, builder, offsets_t, offsets, tap))
        weight = spread(builder, builder.load(pointer_to(context, builder, weights_t, weights, tap)), _FLOATS)
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
        for k, result in enumerate(results):
            to = builder.add(out_start, entry(out_starts_t, out_starts, k))
            store_clipped(context, builder, result, low, high, out_t, out, to)
        return context.get_dummy_value()

    return signature, generate


def _dot(context: Any, builder: Any, pixels: Any, weights: Any) -> Any:
    """In each of 16 lanes, low half · low half + high half · high half of two pairs of 16-bit integers."""
    _, _, features = context.codegen().magic_tuple()
    if "+avx512bw" in features:
        return _x86_dot(builder, "llvm.x86.avx512.pmaddw.d.512", LANES, pixels, weights)
    if "+avx2" in features:
        halves = []
        for first in (0, LANES // 2):
            pick = ir.Constant(
                ir.VectorType(ir.IntType(32), LANES // 2), list(range(first, first + LANES // 2))
            )
            part = [builder.shuffle_vector(v, v, pick) for v in (pixels, weights)]
            halves.append(_x86_dot(builder, "llvm.x86.avx2.pmadd.wd", LANES // 2, *part))
        return builder.shuffle_vector(*halves, ir.Constant(_INTS, list(range(LANES))))
    sixteen = ir.Constant(_INTS, [16] * LANES)
    low = [builder.ashr(builder.shl(v, sixteen), sixteen) for v in (pixels, weights)]
    high = [builder.ashr(v, sixteen) for v in (pixels, weights)]
    return builder.add(builder.mul(*low), builder.mul(*high))


def _x86_dot(builder: Any, name: str, lanes: int, pixels: Any, weights: Any) -> Any:
    result, halves = ir.VectorType(ir.IntType(32), lanes), ir.VectorType(ir.IntType(16), 2 * lanes)
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, [halves] * 2), name)
    return builder.call(function, [builder.bitcast(v, halves) for v in (pixels, weights)])


@in_llvm
def _pair_sums(
    _typing: Any,
    buffer: Any,
    starts: Any,
    first: Any,
    offsets: Any,
    high: Any,
    low: Any,
    count: Any,
    out: Any,
    out_start: Any,
    out_starts: Any,
) -> Any:
    signature = types.void(buffer, starts, first, offsets, high, low, count, out, out_start, out_starts)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        buffer_t, starts_t, _, offsets_t, high_t, low_t, _, out_t, _, out_starts_t = signature.args
        buffer, starts, first, offsets, high, low, count, out, out_start, out_starts = arguments

        def entry(array_type: Any, array: Any, k: int) -> Any:
            index = builder.add(first, ir.Constant(_INT64, k))
            return builder.load(pointer_to(context, builder, array_type, array, index))

        def all_lanes(value: int) -> Any:
            return ir.Constant(_INTS, [value] * LANES)

        bases = [
            pointer_to(context, builder, buffer_t, buffer, entry(starts_t, starts, k)) for k in range(GROUP)
        ]
        before = builder.block
        loop = builder.append_basic_block("pairs")
        after = builder.append_basic_block("pairs.end")
        builder.branch(loop)

        builder.position_at_end(loop)
        pair = builder.phi(_INT64)
        pair.add_incoming(ir.Constant(_INT64, 0), before)
        sums = [[builder.phi(_INTS) for _ in range(GROUP)] for _ in range(2)]
        offset = builder.load(pointer_to(context, builder, offsets_t, offsets, pair))
        weights = [
            spread(builder, builder.load(pointer_to(context, builder, array_t, array, pair)), _INTS)
            for array_t, array in ((high_t, high), (low_t, low))
        ]
        results: list[list[Any]] = [[], []]
        for k, base in enumerate(bases):
            pixels = _load(builder, builder.gep(base, [offset]), _INTS, 4)
            for digit in range(2):
                product = _dot(context, builder, pixels, weights[digit])
                results[digit].append(builder.add(sums[digit][k], product))
        following = builder.add(pair, ir.Constant(_INT64, 1))
        pair.add_incoming(following, loop)
        for digit in range(2):
            for total, result in zip(sums[digit], results[digit], strict=True):
                # the sums of the upper digits begin with one half, which rounds
                total.add_incoming(all_lanes(0 if digit else 1 << (DIGIT_BITS - 1)), before)
                total.add_incoming(result, loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, after)

        builder.position_at_end(after)
        for k in range(GROUP):
            total = builder.add(results[0][k], builder.lshr(results[1][k], all_lanes(DIGIT_BITS)))
            value = builder.lshr(total, all_lanes(DIGIT_BITS))
            value = builder.select(builder.icmp_unsigned(">", value, all_lanes(255)), all_lanes(255), value)
            to = builder.add(out_start, entry(out_starts_t, out_starts, k))
            target = pointer_to(context, builder, out_t, out, to)
            store(builder, builder.trunc(value, _BYTES), target, 1)
        return context.get_dummy_value()

    return signature, generate


@in_llvm
def _to_pairs(_typing: Any, source: Any, at: Any, step: Any, target: Any, to: Any) -> Any:
    signature = types.void(source, at, step, target, to)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source_t, _, _, target_t, _ = signature.args
        source, at, step, target, to = arguments
        parts = []
        for index in (at, builder.add(at, step)):
            pointer = pointer_to(context, builder, source_t, source, index)
            parts.append(builder.zext(_load(builder, pointer, _BYTES, 1), _INTS))
        upper = builder.shl(parts[1], ir.Constant(_INTS, [16] * LANES))
        target = pointer_to(context, builder, target_t, target, to)
        store(builder, builder.or_(parts[0], upper), target, 4)
        return context.get_dummy_value()

    return signature, generate


@in_llvm
def _copy(_typing: Any, source: Any, at: Any, target: Any, to: Any) -> Any:
    signature = types.void(source, at, target, to)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source_t, _, target_t, _ = signature.args
        source, at, target, to = arguments
        pointer = pointer_to(context, builder, source_t, source, at)
        target = pointer_to(context, builder, target_t, target, to)
        if source_t.dtype != types.uint8:
            store(builder, _load(builder, pointer, _FLOATS, 4), target, 4)
        elif target_t.dtype != types.uint8:
            store(builder, builder.uitofp(_load(builder, pointer, _BYTES, 1), _FLOATS), target, 4)
        else:
            store(builder, _load(builder, pointer, _BYTES, 1), target, 1)
        return context.get_dummy_value()

    return signature, generate


@in_llvm
def _clipped(_typing: Any, source: Any, at: Any, add: Any, low: Any, high: Any, out: Any, to: Any) -> Any:
    signature = types.void(source, at, add, low, high, out, to)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source_t, _, _, _, _, out_t, _ = signature.args
        source, at, add, low, high, out, to = arguments
        value = builder.fadd(
            load_floats(context, builder, source_t, source, at), spread(builder, add, _FLOATS)
        )
        store_clipped(context, builder, value, low, high, out_t, out, to)
        return context.get_dummy_value()

    return signature, generate


def store_clipped(
    context: Any, builder: Any, value: Any, low: Any, high: Any, out_t: Any, out: Any, to: Any
) -> None:
    """Clip a vector of floats and store it, truncated where `out` holds bytes."""
    lowest, highest = spread(builder, low, _FLOATS), spread(builder, high, _FLOATS)
    value = builder.select(builder.fcmp_ordered("<", value, lowest), lowest, value)
    value = builder.select(builder.fcmp_ordered(">", value, highest), highest, value)
    target = pointer_to(context, builder, out_t, out, to)
    if out_t.dtype == types.uint8:
        store(builder, builder.trunc(builder.fptosi(value, _INTS), _BYTES), target, 1)
    else:
        store(builder, value, target, 4)


@in_llvm
def _transpose(_typing: Any, source: Any, at: Any, step: Any, target: Any, to: Any, target_step: Any) -> Any:
    signature = types.void(source, at, step, target, to, target_step)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source_t, _, _, target_t, _, _ = signature.args
        source, at, step, target, to, target_step = arguments
        rows = []
        for _ in range(LANES):
            rows.append(load_floats(context, builder, source_t, source, at))
            at = builder.add(at, step)
        # swap ever smaller blocks across the diagonal: 8 × 8, 4 × 4, 2 × 2, single values
        half = LANES // 2
        while half:
            upper = [i if not i & half else i - half + LANES for i in range(LANES)]
            lower = [i + half if not i & half else i + LANES for i in range(LANES)]
            for i in range(LANES):
                if not i & half:
                    pair = rows[i], rows[i + half]
                    rows[i] = builder.shuffle_vector(*pair, ir.Constant(_INTS, upper))
                    rows[i + half] = builder.shuffle_vector(*pair, ir.Constant(_INTS, lower))
            half //= 2
        for row in rows:
            store(builder, row, pointer_to(context, builder, target_t, target, to), 4)
            to = builder.add(to, target_step)
        return context.get_dummy_value()

    return signature, generate


@in_llvm
def _repeat(_typing: Any, value: Any, target: Any, to: Any) -> Any:
    signature = types.void(value, target, to)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, target, to = arguments
        kind = _VECTORS[signature.args[1].dtype]
        pointer = pointer_to(context, builder, signature.args[1], target, to)
        store(builder, spread(builder, value, kind), pointer, 1 if kind is _BYTES else 4)
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
    out_start: Any,
    out_starts: Any,
) -> None:
    """Write GROUP vectors of ``clip(add + Σ weights[t] · buffer[start + offsets[t]], low, high)``."""
    for k in range(first, first + GROUP):
        total = np.full(LANES, add, np.float32)
        for t in range(count):
            at = starts[k] + offsets[t]
            product = np.float64(weights[t]) * buffer[at : at + LANES].astype(np.float64)
            total = (total + product).astype(np.float32)
        to = out_start + out_starts[k]
        out[to : to + LANES] = np.clip(total, low, high).astype(out.dtype)


def _plain_pair_sums(
    buffer: Any,
    starts: Any,
    first: Any,
    offsets: Any,
    high: Any,
    low: Any,
    count: Any,
    out: Any,
    out_start: Any,
    out_starts: Any,
) -> None:
    """Write GROUP vectors of bytes: sums of pairs of pixels times pairs of weights, rounded half up.

    A weight is high + low · 2^−DIGIT_BITS, in units of 2^−DIGIT_BITS, each half of a pair of 16 bits.
    """
    for k in range(first, first + GROUP):
        totals = [np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)]
        for t in range(count):
            at = starts[k] + offsets[t]
            pixels = buffer[at : at + LANES].astype(np.int64)
            for total, pair in zip(totals, (int(high[t]), int(low[t])), strict=True):
                total[:] += (pixels & 0xFFFF) * (pair & 0xFFFF) + (pixels >> 16) * (pair >> 16)
        rounded = totals[0] + (totals[1] >> DIGIT_BITS) + (1 << (DIGIT_BITS - 1))
        to = out_start + out_starts[k]
        out[to : to + LANES] = np.minimum(rounded >> DIGIT_BITS, 255)


def _plain_to_pairs(source: Any, at: Any, step: Any, target: Any, to: Any) -> None:
    """Pair LANES bytes each with the byte `step` further on, in the upper half of an int32."""
    low, high = (source[i : i + LANES].astype(np.int32) for i in (at, at + step))
    target[to : to + LANES] = low | (high << 16)


def _plain_copy(source: Any, at: Any, target: Any, to: Any) -> None:
    """Copy LANES pixels, bytes or floats, to bytes or floats."""
    target[to : to + LANES] = source[at : at + LANES]


def _plain_clipped(source: Any, at: Any, add: Any, low: Any, high: Any, out: Any, to: Any) -> None:
    """Write LANES floats plus `add`, clipped, and truncated where `out` holds bytes."""
    out[to : to + LANES] = np.clip(source[at : at + LANES] + add, low, high).astype(out.dtype)


def _plain_transpose(source: Any, at: Any, step: Any, target: Any, to: Any, target_step: Any) -> None:
    """Transpose LANES vectors that lie `step` apart to others that lie `target_step` apart."""
    block = np.array([source[at + i * step : at + i * step + LANES] for i in range(LANES)])
    for i in range(LANES):
        target[to + i * target_step : to + i * target_step + LANES] = block[:, i]


def _plain_repeat(value: Any, target: Any, to: Any) -> None:
    """Write LANES times the same value."""
    target[to : to + LANES] = value


if numba.config.DISABLE_JIT:
    weighted_sums, pair_sums = _plain_weighted_sums, _plain_pair_sums
    to_pairs, copy, repeat = _plain_to_pairs, _plain_copy, _plain_repeat
    clipped, transpose = _plain_clipped, _plain_transpose
else:
    weighted_sums, pair_sums = _weighted_sums, _pair_sums
    to_pairs, copy, repeat = _to_pairs, _copy, _repeat
    clipped, transpose = _clipped, _transpose

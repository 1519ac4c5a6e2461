"""Normal numbers, sixteen at a time, each from one 32-bit word by inversion.

With Φ the normal distribution function, p = (word + ½)/2³², x = 2p − 1 and w = −ln(1 − x²) = −ln(4p(1 − p)):
z = Φ⁻¹(p) = x · P(w)/Q(w). P and Q, of degree 5, were fitted to Φ⁻¹(p)/x over the whole range of w that 32
bits give, 0 … 21.5, by rational least squares at 20,000 points, reweighted until the error of z was even; it
is 6·10⁻⁷ at most. The logarithm is the exponent's plus that of the mantissa m in 0.75 … 1.5, by a
least-squares polynomial (error 3.4·10⁻⁷). As computed in float32, z is off by less than 3·10⁻⁶ up to
|z| = 6.338, the largest there is. Only additions, multiplications, fused or not as written here, divisions
and operations on bits are used: the same everywhere.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from blurgen.loops.jit import in_llvm
from blurgen.loops.vectors import (
    LANES,
    load_as_floats,
    load_floats,
    pointer_to,
    spread,
    store,
    store_clipped,
)

_SIGN = -(1 << 31)
_LARGEST = (1 << 31) - 1
MANTISSA = (1 << 23) - 1
THREE_QUARTERS = 0x3F400000
LEAST = 0x3F400000 + (62 << 23)  # the bits of 0.75 · 2⁶²
LN2 = 0.6931471805599453
LOGARITHM = (
    0.07595977261770163,
    -0.16300029496597152,
    0.20682971743982043,
    -0.251189374806589,
    0.33317940919619143,
    -0.49997103957268696,
)
NUMERATOR = (
    -2.9259918092911383e-05,
    0.0010319054284336764,
    -0.012105036170446783,
    0.09106015705140304,
    -0.4560778431585908,
    1.2533145633154545,
)
DENOMINATOR = (
    -9.975721094456752e-07,
    0.00017192369798351776,
    -0.0023776322990296085,
    0.03287595164620447,
    -0.10210328713445078,
    1.0,
)

_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_INTS = ir.VectorType(ir.IntType(32), LANES)


def _whole(value: int) -> Any:
    return ir.Constant(_INTS, [value] * LANES)


def _real(value: float) -> Any:
    return ir.Constant(_FLOATS, [float(np.float32(value))] * LANES)


@in_llvm
def _normals(_typing: Any, words: Any, at: Any, out: Any) -> Any:
    signature = types.void(words, at, out)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words_t, _, out_t = signature.args
        words, at, out = arguments
        fused = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_FLOATS, [_FLOATS] * 3), f"llvm.fma.v{LANES}f32"
        )

        def fma(a: Any, b: Any, c: Any) -> Any:
            return builder.call(fused, [a, b, c])

        def polynomial(x: Any, factors: tuple[float, ...]) -> Any:
            total = _real(factors[0])
            for factor in factors[1:]:
                total = fma(total, x, _real(factor))
            return total

        pointer = pointer_to(context, builder, words_t, words, at)
        word = builder.load(builder.bitcast(pointer, _INTS.as_pointer()))
        word.align = 4
        # of the word and its complement the lesser
        below = builder.xor(word, builder.ashr(word, _whole(31)))
        x = builder.fadd(builder.sitofp(builder.xor(below, _whole(_LARGEST)), _FLOATS), _real(0.5))  # · 2⁻³¹
        p = builder.fadd(builder.sitofp(below, _FLOATS), _real(0.5))  # · 2⁻³²
        product = builder.fmul(p, builder.fsub(_real(2.0**32), p))  # 4p(1 − p) · 2⁶²
        bits = builder.sub(builder.bitcast(product, _INTS), _whole(LEAST))
        mantissa = builder.add(builder.and_(bits, _whole(MANTISSA)), _whole(THREE_QUARTERS))
        f = builder.fsub(builder.bitcast(mantissa, _FLOATS), _real(1.0))
        exponent = builder.sitofp(builder.ashr(bits, _whole(23)), _FLOATS)
        log = fma(builder.fmul(f, f), polynomial(f, LOGARITHM), f)
        v = fma(exponent, _real(LN2), log)  # −w
        ratio = builder.fdiv(polynomial(v, NUMERATOR), polynomial(v, DENOMINATOR))
        z = builder.fmul(x, builder.fmul(_real(2.0**-31), ratio))
        sign = builder.and_(builder.not_(word), _whole(_SIGN))
        signed = builder.xor(builder.bitcast(z, _INTS), sign)
        target = pointer_to(context, builder, out_t, out, at)
        store(builder, builder.bitcast(signed, _FLOATS), target, 4)
        return context.get_dummy_value()

    return signature, generate


@in_llvm
def _add_noise(
    _typing: Any, source: Any, at: Any, sigma: Any, noise: Any, half: Any, low: Any, high: Any, out: Any
) -> Any:
    signature = types.void(source, at, sigma, noise, half, low, high, out)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source_t, _, _, noise_t, _, _, _, out_t = signature.args
        source, at, sigma, noise, half, low, high, out = arguments
        values = load_as_floats(context, builder, source_t, source, at)
        numbers = load_floats(context, builder, noise_t, noise, at)
        scaled = builder.fmul(spread(builder, sigma, _FLOATS), numbers)
        total = builder.fadd(builder.fadd(values, scaled), spread(builder, half, _FLOATS))
        store_clipped(context, builder, total, low, high, out_t, out, at)
        return context.get_dummy_value()

    return signature, generate


def _fma(a: Any, b: Any, c: Any) -> Any:
    """A fused multiply-add of float32, but for a rounding in 2²⁹ that falls upon a tie."""
    return (np.float64(a) * np.float64(b) + np.float64(c)).astype(np.float32)


def _polynomial(x: Any, factors: tuple[float, ...]) -> Any:
    total = np.full(LANES, factors[0], np.float32)
    for factor in factors[1:]:
        total = _fma(total, x, np.float32(factor))
    return total


def _plain_normals(words: Any, at: Any, out: Any) -> None:
    """Write the normal numbers of LANES words from `at` on to the same places of `out`."""
    word = words[at : at + LANES].view(np.int32)
    below = word ^ (word >> 31)
    x = (below ^ np.int32(_LARGEST)).astype(np.float32) + np.float32(0.5)
    p = below.astype(np.float32) + np.float32(0.5)
    bits = (p * (np.float32(2.0**32) - p)).view(np.int32) - np.int32(LEAST)
    f = ((bits & np.int32(MANTISSA)) + np.int32(THREE_QUARTERS)).view(np.float32) - np.float32(1.0)
    v = _fma((bits >> 23).astype(np.float32), np.float32(LN2), _fma(f * f, _polynomial(f, LOGARITHM), f))
    z = x * (np.float32(2.0**-31) * (_polynomial(v, NUMERATOR) / _polynomial(v, DENOMINATOR)))
    out[at : at + LANES] = (z.view(np.int32) ^ (~word & np.int32(_SIGN))).view(np.float32)


def _plain_add_noise(
    source: Any, at: Any, sigma: Any, noise: Any, half: Any, low: Any, high: Any, out: Any
) -> None:
    """Write LANES of ``source + sigma · noise + half``, clipped, and truncated where `out` holds bytes."""
    some = slice(at, at + LANES)
    out[some] = np.clip(source[some].astype(np.float32) + sigma * noise[some] + half, low, high)


normals = _plain_normals if numba.config.DISABLE_JIT else _normals
add_noise = _plain_add_noise if numba.config.DISABLE_JIT else _add_noise

"""Programs on vectors of 512 bits, written once and run by LLVM, or by NumPy where nothing is compiled.

A program is a function of a machine and of arrays and places in them. The machine of LLVM turns it into
instructions, the widest that the processor has; that of NumPy, taken with ``NUMBA_DISABLE_JIT=1``, just
carries it out. All of it is arithmetic of whole numbers, so that both give the same everywhere.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numpy.typing import NDArray

from blurgen.loops.jit import in_llvm
from blurgen.loops.vectors import pointer_to

_BITS = 512
_LANE = 16  # bytes: packing and interleaving stay within them, as the instructions do

_INT32, _INT64 = ir.IntType(32), ir.IntType(64)


def within_lanes(indices: Sequence[int], size: int) -> list[int]:
    """Indices for `shuffle`: those of one lane of `size` numbers, the same in all lanes.

    Those from `size` on are of the same lane of the second vector.
    """
    lanes = _BITS // (8 * _LANE)
    return [size * (lane + (lanes - 1) * (i // size)) + i for lane in range(lanes) for i in indices]


def _vector(bits: int, count: int | None = None) -> Any:
    return ir.VectorType(ir.IntType(bits), count or _BITS // bits)


def _constant(kind: Any, values: Any) -> Any:
    return ir.Constant(kind, [int(x) for x in np.broadcast_to(values, kind.count)])


class _Vector:
    """A vector of LLVM; whole numbers and NumPy arrays beside it are constants."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def other(self, other: Any) -> Any:
        return other.value if isinstance(other, _Vector) else _constant(self.value.type, other)

    def __add__(self, other: Any) -> _Vector:
        return _Vector(self.builder, self.builder.add(self.value, self.other(other)))

    def __sub__(self, other: Any) -> _Vector:
        return _Vector(self.builder, self.builder.sub(self.value, self.other(other)))

    def __mul__(self, other: Any) -> _Vector:
        return _Vector(self.builder, self.builder.mul(self.value, self.other(other)))

    def __or__(self, other: Any) -> _Vector:
        return _Vector(self.builder, self.builder.or_(self.value, self.other(other)))

    def __rshift__(self, other: int) -> _Vector:
        return _Vector(self.builder, self.builder.ashr(self.value, self.other(other)))


class _Place:
    """An index into an array."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def __add__(self, other: Any) -> _Place:
        step = other.value if isinstance(other, _Place) else ir.Constant(_INT64, other)
        return _Place(self.builder, self.builder.add(self.value, step))


class _Array:
    """An array of the compiled function."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        self.bits, self.signed = kind.dtype.bitwidth, kind.dtype.signed
        self._arguments = context, builder, kind, value

    def pointer(self, at: _Place, kind: Any) -> Any:
        _, builder, _, _ = self._arguments
        return builder.bitcast(pointer_to(*self._arguments, at.value), kind.as_pointer())


class _Llvm:
    """Turns a program into LLVM's instructions; each operation is the plain one's of the same name."""

    def __init__(self, context: Any, builder: Any) -> None:
        self.builder = builder
        _, _, self.features = context.codegen().magic_tuple()

    def _of(self, value: Any) -> _Vector:
        return _Vector(self.builder, value)

    def _pick(self, a: Any, b: Any, indices: Sequence[int]) -> Any:
        return self.builder.shuffle_vector(a, b, _constant(_vector(32, len(indices)), indices))

    def signed(self, array: _Array) -> bool:
        return bool(array.signed)

    def load(self, array: _Array, at: _Place, count: int) -> _Vector:
        loaded = self.builder.load(array.pointer(at, _vector(array.bits, count)))
        loaded.align = array.bits // 8
        return self._of(loaded)

    def load_wide(self, array: _Array, at: _Place) -> _Vector:
        loaded = self.load(array, at, _BITS // 16)
        if array.bits == 16:
            return loaded
        widen = self.builder.sext if array.signed else self.builder.zext
        return self._of(widen(loaded.value, _vector(16)))

    def wide(self, vector: _Vector) -> _Vector:
        return self._of(self.builder.zext(vector.value, _vector(16)))

    def load_lanes(self, array: _Array, places: Sequence[_Place]) -> _Vector:
        parts = [self.load(array, at, _LANE).value for at in places]
        low, high = (self._pick(parts[i], parts[i + 1], range(2 * _LANE)) for i in (0, 2))
        return self._of(self._pick(low, high, range(4 * _LANE)))

    def load_repeated(self, array: _Array, at: _Place) -> _Vector:
        loaded = self.load(array, at, 8).value
        return self._of(self._pick(loaded, loaded, 4 * list(range(8))))

    def load_spread(self, array: _Array, at: _Place, count: int) -> _Vector:
        loaded = self.load(array, at, 1).value
        return self._of(self._pick(loaded, loaded, count * [0]))

    def store(self, vector: _Vector, array: _Array, at: _Place) -> None:
        value, kind = vector.value, _vector(array.bits, vector.value.type.count)
        if value.type != kind:
            value = self.builder.trunc(value, kind)
        self.builder.store(value, array.pointer(at, kind)).align = array.bits // 8

    def shuffle(self, vector: _Vector, indices: Sequence[int], second: _Vector | int = 0) -> _Vector:
        return self._of(self._pick(vector.value, vector.other(second), indices))

    def bits(self, vector: _Vector, bits: int) -> _Vector:
        return self._of(self.builder.bitcast(vector.value, _vector(bits)))

    def constant(self, values: Any, bits: int) -> _Vector:
        return self._of(_constant(_vector(bits), values))

    def first(self, count: _Place, a: _Vector, b: _Vector) -> _Vector:
        kind = a.value.type
        bound = self.builder.trunc(count.value, kind.element)
        one = self.builder.insert_element(ir.Constant(kind, ir.Undefined), bound, ir.Constant(_INT32, 0))
        bounds = self._pick(one, one, kind.count * [0])
        below = self.builder.icmp_signed("<", _constant(kind, range(kind.count)), bounds)
        return self._of(self.builder.select(below, a.value, b.value))

    def magnitude(self, vector: _Vector) -> _Vector:
        kind, exact = vector.value.type, ir.IntType(1)
        function = ir.FunctionType(kind, [kind, exact])
        return self._of(
            self._call(f"llvm.abs.v{kind.count}i16", function, vector.value, ir.Constant(exact, 0))
        )

    def with_sign(self, vector: _Vector, sign: _Vector) -> _Vector:
        zero = _constant(vector.value.type, 0)
        negative = self.builder.icmp_signed("<", sign.value, zero)
        return self._of(self.builder.select(negative, self.builder.sub(zero, vector.value), vector.value))

    def high(self, a: _Vector, b: _Vector) -> _Vector:
        def general(*factors: Any) -> Any:
            wide = _vector(32, _BITS // 16)
            product = self.builder.mul(*[self.builder.zext(v, wide) for v in factors])
            return self.builder.trunc(self.builder.lshr(product, _constant(wide, 16)), _vector(16))

        return self._instruction("pmulhu.w", "pmulhu.w", 16, a.value, b.value, general)

    def rounded_high(self, a: _Vector, b: int) -> _Vector:
        def general(*factors: Any) -> Any:
            wide = _vector(32, _BITS // 16)
            product = self.builder.mul(*[self.builder.sext(v, wide) for v in factors])
            rounded = self.builder.add(product, _constant(wide, 1 << 14))
            return self.builder.trunc(self.builder.ashr(rounded, _constant(wide, 15)), _vector(16))

        return self._instruction("pmul.hr.sw", "pmul.hr.sw", 16, a.value, a.other(b), general)

    def dots(self, start: Any, terms: Sequence[tuple[_Vector, Any]]) -> Any:
        def general(*factors: Any) -> Any:
            products = []
            for first in (0, 1):
                halves = [self._pick(v, v, range(first, _BITS // 16, 2)) for v in factors]
                products.append(self.builder.mul(*[self.builder.sext(v, _vector(32)) for v in halves]))
            return self.builder.add(*products)

        kind = _vector(32)
        total: Any = self.constant(start, 32) if np.any(start) else None
        for vector, weights in terms:
            factors = vector.value, vector.other(weights)
            if total is not None and "+avx512vnni" in self.features:
                factors = tuple(self.builder.bitcast(v, kind) for v in factors)
                name, function = "llvm.x86.avx512.vpdpwssd.512", ir.FunctionType(kind, 3 * [kind])
                total = self._of(self._call(name, function, total.value, *factors))
            else:
                product = self._instruction("pmaddw.d", "pmadd.wd", 32, *factors, general)
                total = product if total is None else total + product
        return total

    def pack(self, a: _Vector, b: _Vector) -> _Vector:
        return self._packed("packssdw", a, b, np.int16)

    def pack_bytes(self, a: _Vector, b: _Vector, signed: bool) -> _Vector:
        return self._packed(*("packsswb" if signed else "packuswb", a, b, np.int8 if signed else np.uint8))

    def _packed(self, name: str, a: _Vector, b: _Vector, to: type[np.integer[Any]]) -> _Vector:
        ends = np.iinfo(to)

        def clipped(value: Any) -> Any:
            for sign, end in (("<", ends.min), (">", ends.max)):
                bound = _constant(value.type, end)
                value = self.builder.select(self.builder.icmp_signed(sign, value, bound), bound, value)
            return self.builder.trunc(value, _vector(ends.bits, value.type.count))

        def general(first: Any, second: Any) -> Any:
            size = 8 * _LANE // ends.bits // 2
            return self._pick(clipped(first), clipped(second), within_lanes(range(2 * size), size))

        return self._instruction(name, name, ends.bits, a.value, b.value, general)

    def _instruction(
        self, widest: str, wide: str, bits: int, a: Any, b: Any, general: Callable[[Any, Any], Any]
    ) -> _Vector:
        """The processor's own instruction, which LLVM does not always find, or else the general way."""
        if "+avx512bw" in self.features:
            kind = ir.FunctionType(_vector(bits), [a.type, b.type])
            return self._of(self._call(f"llvm.x86.avx512.{widest}.512", kind, a, b))
        if "+avx2" not in self.features:
            return self._of(general(a, b))
        halves, count = [], a.type.count // 2
        for half in (0, count):
            parts = [self._pick(v, v, range(half, half + count)) for v in (a, b)]
            kind = ir.FunctionType(_vector(bits, _BITS // bits // 2), [part.type for part in parts])
            halves.append(self._call(f"llvm.x86.avx2.{wide}", kind, *parts))
        return self._of(self._pick(halves[0], halves[1], range(_BITS // bits)))

    def _call(self, name: str, kind: Any, *arguments: Any) -> Any:
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), arguments)


class _Plain:
    """Carries a program out with NumPy."""

    def signed(self, array: NDArray[Any]) -> bool:
        """Whether an array's numbers have a sign."""
        return array.dtype.kind == "i"

    def load(self, array: NDArray[Any], at: int, count: int) -> NDArray[Any]:
        """`count` numbers from ``array[at]`` on."""
        return array[at : at + count].copy()

    def load_wide(self, array: NDArray[Any], at: int) -> NDArray[Any]:
        """A vector of 16 bits from bytes or numbers of 16 bits."""
        return array[at : at + _BITS // 16].astype(np.int16)

    def wide(self, vector: NDArray[Any]) -> NDArray[Any]:
        """Bytes without a sign as 16 bits."""
        return vector.astype(np.int16)

    def load_lanes(self, array: NDArray[Any], places: Sequence[int]) -> NDArray[Any]:
        """The 16 bytes at each of four places."""
        return np.concatenate([array[at : at + _LANE] for at in places])

    def load_repeated(self, array: NDArray[Any], at: int) -> NDArray[Any]:
        """8 numbers of 16 bits, the same in each lane."""
        return np.tile(array[at : at + 8].view(np.int16), 4)

    def load_spread(self, array: NDArray[Any], at: int, count: int) -> NDArray[Any]:
        """``array[at]``, `count` times."""
        return np.repeat(array[at], count)

    def store(self, vector: NDArray[Any], array: NDArray[Any], at: int) -> None:
        """Write from ``array[at]`` on, the lowest bits where the array's numbers are shorter."""
        array[at : at + len(vector)] = vector.astype(array.dtype)

    def shuffle(
        self, vector: NDArray[Any], indices: Sequence[int], second: NDArray[Any] | int = 0
    ) -> NDArray[Any]:
        """The numbers with these indices; those of `second` are counted on after those of `vector`."""
        both = np.concatenate([vector, np.broadcast_to(second, vector.shape).astype(vector.dtype)])
        return both[list(indices)]

    def bits(self, vector: NDArray[Any], bits: int) -> NDArray[Any]:
        """The same bits as numbers of another length."""
        return vector.view(f"i{bits // 8}")

    def constant(self, values: Any, bits: int) -> NDArray[Any]:
        """A constant."""
        return np.broadcast_to(values, _BITS // bits).astype(f"i{bits // 8}")

    def first(self, count: int, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """The first `count` numbers of `a`, then those of `b`."""
        return np.where(np.arange(len(a)) < count, a, b)

    def magnitude(self, vector: NDArray[Any]) -> NDArray[Any]:
        """The absolute values."""
        made: NDArray[Any] = np.abs(vector)
        return made

    def with_sign(self, vector: NDArray[Any], sign: NDArray[Any]) -> NDArray[Any]:
        """`vector`, or minus it where `sign` is negative."""
        return np.where(sign < 0, -vector, vector)

    def high(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """The upper 16 bits of the products of numbers of 16 bits without a sign."""
        product = a.view(np.uint16).astype(np.uint32) * b.view(np.uint16)
        return (product >> 16).astype(np.uint16).view(np.int16)

    def rounded_high(self, a: NDArray[Any], b: int) -> NDArray[Any]:
        """(a · b + 2¹⁴) >> 15 of numbers of 16 bits."""
        return ((a.astype(np.int32) * b + (1 << 14)) >> 15).astype(np.int16)

    def dots(self, start: Any, terms: Sequence[tuple[NDArray[Any], Any]]) -> NDArray[Any]:
        """`start` and, of each term, the sums of the products of neighbours; 16 bits to 32 bits."""
        total = self.constant(start, 32)
        for vector, weights in terms:
            products = vector.astype(np.int32) * np.asarray(weights, np.int32)
            total = total + products[::2] + products[1::2]
        return total

    def pack(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Numbers of 32 bits in 16 bits, clipped: in each lane those of `a`, then those of `b`."""
        return self._packed(a, b, np.int16)

    def pack_bytes(self, a: NDArray[Any], b: NDArray[Any], signed: bool) -> NDArray[Any]:
        """Numbers of 16 bits in bytes, clipped: in each lane those of `a`, then those of `b`."""
        return self._packed(a, b, np.int8 if signed else np.uint8)

    def _packed(self, a: NDArray[Any], b: NDArray[Any], to: type[np.integer[Any]]) -> NDArray[Any]:
        ends = np.iinfo(to)
        lanes = np.clip([a, b], ends.min, ends.max).astype(to).reshape(2, 4, -1)
        made: NDArray[Any] = lanes.transpose(1, 0, 2).reshape(-1)
        return made


def interleave(machine: Any, a: Any, b: Any, bits: int) -> list[Any]:
    """In each lane the numbers of `a` and `b` by turns: those of the lane's first half, and of its second."""
    size = 8 * _LANE // bits
    first = [i // 2 + size * (i % 2) for i in range(size)]
    return [machine.shuffle(a, within_lanes([i + k for i in first], size), b) for k in (0, size // 2)]


def program(function: Callable[..., None]) -> Any:
    """Make a function of a machine, arrays and places one of arrays and places, for compiled loops."""
    if numba.config.DISABLE_JIT:
        return lambda *arguments: function(_Plain(), *arguments)

    def vectors(_typing: Any, *kinds: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            operands: list[Any] = []
            for kind, value in zip(signature.args, values, strict=True):
                if isinstance(kind, types.Array):
                    operands.append(_Array(context, builder, kind, value))
                else:
                    operands.append(_Place(builder, context.cast(builder, value, kind, types.int64)))
            function(_Llvm(context, builder), *operands)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    # Numba takes the number of arguments from the signature
    vectors.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    vectors.__name__ = function.__name__
    return in_llvm(vectors)

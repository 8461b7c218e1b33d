"""pyarrow, and everything that travels as one Arrow IPC stream: ``$arrow``. Imported only when met.

Rules: the payload is ``{"buffer", "as", "meta"}``; ``as`` names the class to build and comes from a fixed
table, ``meta`` holds what Arrow's own schema does not (see ``pandas``) and may be left out by other clients.
Data from the network is validated in full before anything reads it. Extension types of Python are refused:
the receiver may not have them.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from snakekernel.values.bounds import NotLossless
from snakekernel.values.codec import Codec
from snakekernel.wire.errors import InvalidRequest, LimitExceeded

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder


#: The streams that tables were read from, by the id of the living table. Arrow data never changes.
_read_from: dict[int, tuple[weakref.ref[Any], memoryview]] = {}


def write(data: Any, encoder: Encoder) -> int:
    """Write a Table or RecordBatch as an IPC stream; the index of its buffer."""
    known = _read_from.get(id(data))
    if known is not None and known[0]() is data:
        # Sent as it came: nothing is serialised, nor copied where it came in shared memory.
        return encoder.buffer(known[1])
    encoder.reserve(data.nbytes)
    # Measured first: a stream that grows while it is written is copied several times.
    measure = pa.MockOutputStream()
    _stream(data, measure)
    stream = pa.allocate_buffer(measure.size())
    _stream(data, pa.FixedSizeBufferWriter(stream))
    return encoder.buffer(stream)


def _stream(data: Any, sink: Any) -> None:
    with pa.ipc.new_stream(sink, data.schema) as stream:
        stream.write(data)


def _remember(data: Any, view: memoryview) -> None:
    key = id(data)
    _read_from[key] = (weakref.ref(data, lambda _: _read_from.pop(key, None)), view)


def _plain_types(schema: Any) -> None:
    for field in schema:
        _plain_type(field.type)


def _plain_type(kind: Any) -> None:
    if isinstance(kind, pa.ExtensionType):
        raise NotLossless(f"the Arrow extension type {kind.extension_name!r} may be unknown to the receiver")
    children = [kind.value_type] if pa.types.is_dictionary(kind) else []
    for child in (*children, *(kind.field(index).type for index in range(kind.num_fields))):
        _plain_type(child)


def _encode_table(table: Any, encoder: Encoder) -> dict[str, Any]:
    _plain_types(table.schema)
    return {"buffer": write(table, encoder), "as": f"pyarrow.{type(table).__name__}"}


def _encode_array(array: Any, encoder: Encoder) -> dict[str, Any]:
    _plain_type(array.type)
    batch = pa.RecordBatch.from_arrays([array], names=[""])
    return {"buffer": write(batch, encoder), "as": "pyarrow.Array"}


def _encode_chunks(array: Any, encoder: Encoder) -> dict[str, Any]:
    _plain_type(array.type)
    return {"buffer": write(pa.table([array], names=[""]), encoder), "as": "pyarrow.ChunkedArray"}


def _one_batch(table: Any, decoder: Decoder) -> Any:
    batches = table.to_batches()
    if len(batches) > 1:
        raise InvalidRequest("a RecordBatch or an Array is one batch", at=decoder.at("buffer"))
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _column(table: Any, decoder: Decoder) -> Any:
    """The only column of a Table or RecordBatch."""
    if table.num_columns != 1:
        raise InvalidRequest("an Array is sent as one column", at=decoder.at("buffer"))
    return table.column(0)


_KINDS: dict[str, Callable[[Any, Decoder], Any]] = {
    "pyarrow.Table": lambda table, decoder: table,
    "pyarrow.RecordBatch": _one_batch,
    "pyarrow.ChunkedArray": _column,
    "pyarrow.Array": lambda table, decoder: _column(_one_batch(table, decoder), decoder),
}


def decode(payload: Any, decoder: Decoder) -> Any:
    """The object of an ``$arrow`` payload; shared with the pandas codecs."""
    decoder.fields(payload, {"buffer": int, "as": str}, {"meta": dict})
    kind = payload["as"]
    view = decoder.buffer(payload["buffer"], "buffer")
    table = _read(view, decoder)
    if kind in _KINDS:
        if "meta" in payload:
            raise InvalidRequest(f"{kind} has no meta", at=decoder.at("meta"))
        obj = _KINDS[kind](table, decoder)
        if isinstance(obj, pa.Table | pa.RecordBatch):
            _remember(obj, view)
        return obj
    if kind.startswith("pandas."):
        from snakekernel.values import frames

        if kind in frames.KINDS:
            return frames.KINDS[kind](table, payload.get("meta"), decoder)
    raise InvalidRequest(f"{kind[:80]!r} is no class that travels as Arrow data", at=decoder.at("as"))


def _read(view: memoryview, decoder: Decoder) -> Any:
    try:
        table = pa.ipc.open_stream(pa.py_buffer(view)).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise InvalidRequest(f"malformed Arrow stream: {exc}", at=decoder.at("buffer")) from None
    # Compressed streams may unpack to more than they measure.
    if table.nbytes > decoder.limits.buffer_bytes:
        raise LimitExceeded(
            f"the table has more than {decoder.limits.buffer_bytes} bytes", at=decoder.at("buffer")
        )
    return table


def _is_array(kind: type) -> bool:
    return type.__subclasscheck__(pa.Array, kind)


CODECS = (
    Codec("arrow", (pa.Table, pa.RecordBatch), _encode_table, decode),
    Codec("arrow", (pa.ChunkedArray,), _encode_chunks, decode),
    Codec("arrow", (), _encode_array, decode, matches=_is_array),
)
